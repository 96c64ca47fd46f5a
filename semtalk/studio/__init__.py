"""The studio: motion of a voice in a browser on this machine, where the user says what matters."""
