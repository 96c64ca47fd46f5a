"""``study.py``: has people compare methods in a browser, and reports what they found."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from semtalk.log import LOG

if TYPE_CHECKING:
    from semtalk.settings.commands import StudySettings


def study(settings: StudySettings) -> None:
    """Make a study and serve it, go on serving one, report on one, or write one for HEMVIP2."""
    if settings.report:
        from semtalk.study.report import write_report

        LOG.info(f"The report is in {write_report(Path(settings.report), settings.resamples)}.")
    elif settings.export:
        from semtalk.study.hemvip import export_study

        LOG.info(f"What HEMVIP2 takes is in {export_study(Path(settings.export), settings.raters)}.")
    else:
        folder = Path(settings.out)
        if settings.methods:
            _make_study(settings, folder)
        if settings.serve:
            from semtalk.study.server import serve

            serve(folder, settings.host, settings.port)


def _make_study(settings: StudySettings, folder: Path) -> None:
    from functools import partial
    from tempfile import TemporaryDirectory

    from rich.progress import track

    from semtalk.study.make import (
        cut_takes,
        drawn_segments,
        make_study,
        named_systems,
        new_study,
        planned,
        read_spoken,
        refuse_absent,
    )
    from semtalk.study.plan import FILE

    systems = named_systems(settings.methods, settings.truth)
    refuse_absent(systems)
    spoken = read_spoken(settings.spoken) if settings.spoken else {}
    with TemporaryDirectory() as aside:
        # A study that is there keeps its tables: it may be another one.
        tables = Path(aside) if (folder / FILE).is_file() else folder
        table = Path(settings.segments) if settings.segments else tables / "segments.csv"
        if not settings.segments:
            cut_takes(systems, settings.audio, settings.seconds, table)
        if settings.clips:
            table = drawn_segments(table, settings.clips, settings.seed, tables / "drawn.csv")
        stimuli = planned(systems, settings.audio, table, settings.seed, settings.samples)
    plan = new_study(stimuli, settings.questions, settings.pages, settings.checks, settings.seed, spoken)
    LOG.info(f"{len(plan.codes)} segments of {', '.join(plan.systems)}; {len(plan.videos())} videos.")
    if "mismatch" in plan.questions and len(plan.mismatched) < len(plan.codes):
        LOG.warning(
            f"{len(plan.codes) - len(plan.mismatched)} segments have no other of their speaker to be mismatched."
        )
    make_study(plan, stimuli, folder, spoken, partial(track, description="Drawing"))
    LOG.info(f"The study is in {folder}.")
