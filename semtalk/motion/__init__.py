"""Skeleton, rotations, body parts and motion files."""
