"""The authors' released weights: their names, their conversion, and a check that a file was understood."""
