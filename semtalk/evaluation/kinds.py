"""What a study's stimuli are called; apart, so that a study's server imports nothing that draws."""

MOTION, MUTED, MATCHED, MISMATCHED = "motion", "muted", "matched", "mismatched"
"""Of what is written: npz; silent mp4; mp4 and wav with the segment's own speech; and with another segment's."""
