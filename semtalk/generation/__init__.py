"""From features of a voice to motion."""
