"""Motion as the settings of ``generate.py`` ask for it: what the command and the studio share."""

from collections.abc import Callable, Sequence
from pathlib import Path

from semtalk.body import BodyModel
from semtalk.features.utterance import Utterance
from semtalk.generation.generated import Generated
from semtalk.generation.load import files_of
from semtalk.generation.speech import SemTalk
from semtalk.settings.commands import GenerateSettings

ASKED = (
    "speaker", "emotion", "motion", "betas", "beta", "gate", "batch", "samples", "seed", "emphasise", "calm", "psi",
    "pose", "end", "rest", "in_place", "foot_lock",
)  # fmt: skip
"""Settings that :meth:`SemTalk.generate` takes by the same names."""


def load_asked(settings: GenerateSettings, ckpt: str | Path, device: str, body: BodyModel) -> SemTalk:
    """The run in ``ckpt``, loaded as settings say; a text may also name a model of the hub."""
    return SemTalk.from_pretrained(
        ckpt, settings.generation, device, body, settings.precision, dict(settings.decoding), settings.trust,
        settings.revision, files_of(settings.features),
    )  # fmt: skip


def generate_asked(
    model: SemTalk,
    settings: GenerateSettings,
    utterances: Sequence[Utterance],
    progress: Callable = lambda windows: windows,
) -> list[Generated]:
    """What a run makes of recordings by settings, see :meth:`SemTalk.generate`."""
    return model.generate(utterances, **{name: getattr(settings, name) for name in ASKED}, progress=progress)
