"""The networks of the studio, which make one motion after another."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from semtalk.body import load_body
from semtalk.errors import MissingModelError, SemTalkError
from semtalk.face import FaceMap, face_map
from semtalk.features.recognise import WHISPER, Recogniser
from semtalk.features.transcript import Word
from semtalk.features.utterance import Utterance
from semtalk.generation.asked import generate_asked, load_asked
from semtalk.generation.generated import Generated
from semtalk.generation.speech import SemTalk
from semtalk.motion.skeleton import PARTS
from semtalk.settings import validated
from semtalk.settings.commands import Command, GenerateSettings, StudioSettings
from semtalk.settings.line import as_written
from semtalk.studio.turns import Report, Turns
from semtalk.tasks.speed import trainer_device

WITHOUT = {"emphasise": None, "calm": None, "psi": None, "pose": None}
"""Nothing is said to matter."""


class Engine:
    """The run of the studio, and another one that may stand beside it.

    Attributes:
        base: What ``generate.py`` would be called with.
        ckpt: Folder or repository of the run.
        model: Its networks.
        other: Those of the other run; none where there is none.
        turns: Of those who use them: a second request waits its turn.
        drawing: Of those who have videos drawn, which needs no network and takes all cores.
    """

    def __init__(self, settings: StudioSettings, ckpt: str | Path):
        """Load the runs.

        Raises:
            SemTalkError: One of them cannot be loaded.
        """
        common = {key: value for key, value in settings.plain().items() if key in Command.model_fields}
        common |= {"ckpt": settings.ckpt, "revision": settings.revision}
        self.base = validated(GenerateSettings, as_written().plain() | common)
        self.ckpt = str(Path(ckpt).resolve()) if Path(ckpt).is_dir() else str(ckpt)
        self.settings = settings
        self._recogniser: Recogniser | None = None
        self.hears()
        self.body = load_body(settings.body.path, settings.body.model)
        device = str(trainer_device(settings.trainer.accelerator))
        self.model = load_asked(self.base, ckpt, device, self.body)
        self.other: SemTalk | None = None
        if settings.beside is not None:
            plain = self.base.plain() | {"revision": None}
            self.other = load_asked(validated(GenerateSettings, plain), settings.beside, device, self.body)
        self.turns = Turns("Another request is at work")
        self.drawing = Turns("Another video is being drawn")
        self._arkit: FaceMap | None = None
        self._own = {id(one): one.generator.decoding for one in (self.model, self.other) if one is not None}

    @property
    def semantic(self) -> bool:
        """Whether the run has a sparse network, which the semantic score is of."""
        return self.model.generator.sparse is not None

    @property
    def temperature(self) -> float | None:
        """Of samples; none where the run draws none."""
        decoding = self._own[id(self.model)]
        return decoding.temperature if any(decoding.sampled(part) for part in PARTS) else None

    @property
    def arkit(self) -> FaceMap:
        """How weights of ARKit are found."""
        if self._arkit is None:
            self._arkit = face_map(self.body, corpus=self.model.corpus)
        return self._arkit

    def hears(self) -> str | None:
        """Why Whisper cannot hear words here; none where it can.

        Raises:
            MissingModelError: Another model than the default one was named, which has to be there.
        """
        try:
            self._whisper()
        except MissingModelError as error:
            if self.settings.whisper != WHISPER:
                raise
            return str(error)
        return None

    def _whisper(self) -> Recogniser:
        if self._recogniser is None:
            self._recogniser = Recogniser(self.settings.whisper, self.settings.language)
        return self._recogniser

    def hear(self, utterance: Utterance, report: Report) -> list[Word]:
        """Words of a recording, by Whisper.

        Args:
            utterance: The recording.
            report: Is told who else is before.

        Raises:
            MissingModelError: Its model is not here.
        """
        with self.turns.turn(report):
            report(None, "Hearing the words")
            return self._whisper()(utterance.wave)

    def make(self, settings: GenerateSettings, utterance: Utterance, beside: str, report: Report) -> list:
        """Motions of a recording.

        Args:
            settings: Of ``generate.py``.
            utterance: The recording.
            beside: One of :data:`semtalk.studio.request.BESIDE`; ``file`` is not made here.
            report: Is told how far it is.

        Returns:
            Samples, and those that stand beside them: two lists of :class:`Generated`, the second one empty for none.

        Raises:
            SemTalkError: As :meth:`SemTalk.generate`; or there is no such motion to stand beside.
        """
        plans = [(self.model, settings)]
        if beside == "unedited":
            plans.append((self.model, settings.model_copy(update=WITHOUT)))
        elif beside == "base":
            if not self.semantic:
                raise SemTalkError("beside: the run has no sparse network, so that all of its motion is the base's.")
            plans.append((self.model, settings.model_copy(update=WITHOUT | {"gate": "never"})))
        elif beside == "run":
            if self.other is None:
                raise SemTalkError("beside: there is no other run; start the studio with beside=RUN.")
            plans.append((self.other, settings.model_copy(update=WITHOUT | {"speaker": None})))
        with self.turns.turn(report):
            made = []
            for number, (model, own) in enumerate(plans):
                told = _Told(report, number / len(plans), 1 / (len(plans) * own.samples))
                made.append(self._generated(model, own, utterance, told))
        return [*made, *[[]] * (2 - len(made))]

    def _generated(
        self, model: SemTalk, settings: GenerateSettings, utterance: Utterance, told: Callable
    ) -> list[Generated]:
        """Samples, drawn at the temperature that settings say: the networks are loaded once."""
        own = self._own[id(model)]
        wanted = settings.decoding.temperature
        model.generator.decoding = own if wanted is None else replace(own, temperature=wanted)
        return generate_asked(model, settings, [utterance], told)


class _Told:
    """Wraps the windows of one sample after another, and reports how far it is."""

    def __init__(self, report: Report, begun: float, share: float):
        self.report, self.done, self.share = report, begun, share

    def __call__(self, windows: Iterable[int]) -> Iterator[int]:
        windows = list(windows)
        for number, window in enumerate(windows):
            self.report(self.done + self.share * number / len(windows), "Generating")
            yield window
        self.done += self.share
