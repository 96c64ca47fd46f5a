"""Motion of a take: its channels, its parts and its files."""

from semtalk.lazy import exports

__getattr__, __dir__, __all__ = exports(
    __name__,
    {
        "semtalk.motion.io": "Motion in_place load_motion save_motion",
        "semtalk.motion.parts": (
            "Frames batch_frames merge_parts part_channels poses_from_rotation rotation_from_poses split_parts"
        ),
        "semtalk.motion.skeleton": "BODY_PARTS FPS PARTS SAMPLE_RATE",
    },
)
