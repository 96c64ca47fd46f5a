"""Corpora, the prepared store, windows and batches."""
