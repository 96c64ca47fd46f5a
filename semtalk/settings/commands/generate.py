"""What ``generate.py`` takes."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from semtalk.settings.commands.base import Arkit, Command, OfARun, Rollout, View
from semtalk.settings.common import GivenText, PathText, Text, between, distinct

Words = GivenText | Annotated[list[GivenText], Field(min_length=1)]
"""Spoken words."""


Format = Literal["npz", "bvh", "glb", "fbx", "arkit"]


class GenerateSettings(Command, OfARun, Rollout, Arkit):
    """``generate.py``."""

    out: PathText | None
    """Folder of the results."""
    audio: PathText | Annotated[list[PathText], Field(min_length=1)] | None
    """A recording, a folder of them, or a list."""
    transcript: PathText
    """A file or folder of transcripts; auto, or none."""
    whisper: PathText
    """The Whisper model that hears words."""
    language: Text | None
    """Language of the speech; null to detect it."""
    speaker: int | Text | None
    """A speaker of the training corpus, by its own number or name; null for the first."""
    emotion: Text | None
    """Emotion label, where the run reads labels."""
    motion: PathText | None
    """Motion file whose first 4 frames begin each take."""
    betas: PathText | Annotated[list[float], Field(min_length=1)] | None
    """Body shape: an npz or numbers."""
    emphasise: Words | None
    """Words of the transcript whose semantic score is 1, as word or word@seconds; the rest of the motion stays."""
    calm: Words | None
    """Words whose semantic score is 0, as in ``emphasise``."""
    psi: PathText | None
    """Semantic scores from 0 to 1, one for each code step or frame: a csv of one number a line, or an npy."""
    pose: PathText | Annotated[list[PathText], Field(min_length=1)] | None
    """Poses to hold, as FILE.npz@seconds: the body of the frame in the middle of a motion file."""
    precision: Literal["float32", "bf16"]
    """Of base and sparse network; bf16 is faster on GPUs and on CPUs with units for it, and some codes change."""
    batch: Annotated[int, between(1, 100_000)]
    """Recordings at once."""
    format: Format | Annotated[list[Format], Field(min_length=1), AfterValidator(distinct)]
    """What is written; npz always is. arkit is the face's 52 weights as a csv of Live Link Face, fbx needs Blender."""
    bvh: Literal["smplx", "vrm", "mixamo"]
    """Whose names joints of format=bvh have."""
    avatar: PathText | None
    """A rigged character (.glb, .vrm, or .fbx by Blender) that is written too, moving as NAME_avatar."""
    avatar_map: PathText | None
    """A yaml of names of the character's bones that are not known, as in ``leftUpperArm: arm_l``."""
    in_place: bool
    """Whether figures stay over where they begin, for engines that move them."""
    foot_lock: bool
    """Whether feet that stand are held where they stand, by bending the legs."""
    rest: Annotated[float, between(1.0, 1e6)] | None
    """Seconds of silence from which trunk and arms rest in the pose that the take begins with; null for never."""
    end: PathText | None
    """Motion file in whose first pose each take ends; where the body stands stays."""
    arkit_fps: Literal[30, 60]
    """Rows a second of format=arkit."""
    view: View
    """What videos show; faces need the extra face, or SMPL-X's file."""

    @property
    def formats(self) -> list[str]:
        """What is written."""
        return [self.format] if isinstance(self.format, str) else self.format

    @model_validator(mode="after")
    def what_goes_with_what(self) -> "GenerateSettings":
        """A matrix is for faces, names of joints for one format, and names of bones for a character."""
        faces = self.video or self.avatar or {"arkit", "glb", "fbx"} & set(self.formats)
        if self.arkit_matrix is not None and not faces:
            raise ValueError("arkit_matrix is for faces: format=arkit, glb or fbx, an avatar, or a video.")
        if self.bvh != "smplx" and "bvh" not in self.formats:
            raise ValueError("bvh is for format=bvh, which is not among the formats.")
        if self.avatar_map is not None and self.avatar is None:
            raise ValueError("avatar_map is for avatar=FILE, which is not set.")
        return self
