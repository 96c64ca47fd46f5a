"""Names of what is trained, in their order."""

from typing import Literal, get_args

PhaseName = Literal[
    "rvqvae_face", "rvqvae_upper", "rvqvae_hands", "rvqvae_lower", "translation", "fgd", "base", "sparse",
    "alignment",
]  # fmt: skip
"""What is trained, in its order; see :data:`semtalk.tasks.phases.PHASES`."""
PHASE_NAMES: tuple[str, ...] = get_args(PhaseName)
CHAIN = tuple(name for name in PHASE_NAMES if name != "alignment")
"""What stage=all trains; the scorer of alignment judges any method, and is trained by itself."""
JUDGES = ("fgd", "alignment")
"""What measures motion, and has no part in making it."""
MOTION_PHASES = PHASE_NAMES[: PHASE_NAMES.index("fgd")]
"""What turns codes into motion, and can be taken over from another run."""
