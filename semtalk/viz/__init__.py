"""Pictures and videos of motion, drawn headless."""
