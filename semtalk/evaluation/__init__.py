"""Evaluation of a run: the protocol, the known answers of the embedded corpus, and the report."""
