"""The metrics of the field, as functions of arrays and as torchmetrics classes."""

from semtalk.lazy import exports

__getattr__, __dir__, __all__ = exports(
    __name__,
    {
        "semtalk.metrics.functional": (
            "frechet_distance l1_diversity sample_diversity beat_consistency motion_beats audio_onsets "
            "face_mse face_l1_position face_velocity_difference mean_jerk foot_skating semantic_recall "
            "precision_recall_f1"
        ),
        "semtalk.metrics.modules": "FrechetGestureDistance BeatConsistency WeightedMean",
    },
)
