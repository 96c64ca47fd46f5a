"""Features of speech and text, at 30 frames a second or for each window."""
