"""What ``scripts/study.py`` takes."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from semtalk.settings.commands.base import Command, Samples
from semtalk.settings.common import PathText, Text, between, distinct


class StudySettings(Command):
    """``scripts/study.py``."""

    methods: Annotated[list[PathText], Field(min_length=1)] | None
    """Folders of motion files of the methods that are compared; null to go on with the study in ``out``."""
    truth: PathText | None
    """Folder of the true motion files, which are compared as a method is."""
    audio: PathText | None
    """Folder of the recordings, for ``methods``."""
    segments: PathText | None
    """Csv of segments: file_name,start_seconds,end_seconds,duration_seconds; null for whole takes, cut in pieces."""
    seconds: Annotated[float, between(0.2, 120.0)]
    """Seconds of a piece of a take, without ``segments``."""
    clips: Annotated[int, between(1, 100_000)] | None
    """At most so many segments are shown, drawn by the seed; null for all."""
    samples: Samples
    """Samples that a method may have of each take, as TAKE_sample_1.npz; one of them is drawn for each segment."""
    out: PathText
    """Folder of the study: its plan, videos and answers."""
    questions: Annotated[
        list[Literal["realism", "speech", "mismatch", "meaning"]], Field(min_length=1), AfterValidator(distinct)
    ]
    """What is asked; realism (silent) and mismatch (own speech or another's) are the studies of GENEA's leaderboard."""
    pages: Annotated[int, between(1, 1000)]
    """Comparisons of a rater, of all questions together."""
    checks: Annotated[int, between(0, 100)]
    """Attention checks of a rater, between them."""
    spoken: PathText | None
    """Folder of recordings that each say which answer to give, as in LeftClearlyBetter.wav: half the checks of pages
    with sound are spoken then; null for written ones alone."""
    host: Text
    """Address that is listened on: this machine alone, or 0.0.0.0 for all who reach it; the page has no password."""
    port: Annotated[int, between(0, 65535)]
    """Port of the page; 0 for any that is free."""
    serve: bool
    """Whether the page is served; else the study is made and the command ends."""
    report: PathText | None
    """Study to report on: its folder; votes that HEMVIP2 exports (json), or the leaderboard releases (csv)."""
    export: PathText | None
    """Folder of a study to write for HEMVIP2."""
    raters: Annotated[int, between(1, 100_000)]
    """Lists of comparisons that ``export`` writes, one for each rater."""
    resamples: Annotated[int, between(100, 1_000_000)]
    """Of the raters, for the intervals of ``report``."""

    @model_validator(mode="after")
    def one_at_a_time(self) -> "StudySettings":
        """A study is made and served, reported on, or exported."""
        given = [key for key in ("methods", "report", "export") if getattr(self, key) is not None]
        if len(given) > 1:
            raise ValueError(f"{' and '.join(given)}: give one of them.")
        if (self.methods is None) != (self.audio is None):
            raise ValueError("methods and audio go together, as in methods=[A,B] audio=DIR.")
        for key in ("truth", "segments", "spoken"):
            if getattr(self, key) is not None and self.methods is None:
                raise ValueError(f"{key} is for a new study, as in methods=[A,B] audio=DIR {key}=...")
        return self
