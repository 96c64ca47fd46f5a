"""Motion sent to other programs while it is made: VMC over OSC."""
