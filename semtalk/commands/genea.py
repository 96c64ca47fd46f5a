"""``export_genea.py``: what the GENEA leaderboard takes, looked through and cut into stimuli."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from semtalk.errors import SemTalkError
from semtalk.log import LOG
from semtalk.run import results_dir, run_dir

if TYPE_CHECKING:
    from semtalk.settings.commands import GeneaSettings


def export_genea(settings: GeneaSettings) -> None:
    """Write what the GENEA leaderboard takes of a run, look such a folder through, or cut the stimuli of a study."""
    if settings.segments:
        return _cut_segments(settings)
    if settings.check:
        return _check_export(settings)
    from semtalk.data.open import open_corpus, open_store
    from semtalk.generation.hub import located_model
    from semtalk.tasks.checkpoint import read_stamp

    run = located_model(settings.ckpt or run_dir(settings), settings.revision)
    read_stamp(run, "base")
    from semtalk.commands.evaluate import with_own_features

    settings = with_own_features(settings, run)
    corpus = open_corpus(settings.data)

    from functools import partial

    from rich.progress import track

    from semtalk.body import load_body
    from semtalk.environment import write_environment
    from semtalk.evaluation.genea import Exporter, export_takes, training_starts
    from semtalk.generation.load import files_of, load_generator
    from semtalk.tasks.speed import trainer_device

    store = open_store(settings, corpus, load_body(settings.body.path, settings.body.model))
    recordings = store.split("test")
    starts = training_starts(store, recordings) if settings.begin == "take" else {}
    files, device = files_of(settings.features), trainer_device(settings.trainer.accelerator)
    loaded = load_generator(run, settings.generation, dict(settings.decoding), settings.trust, files)
    exporter = Exporter(
        loaded.generator.to(device), loaded.facts.speakers, loaded.features.stride, settings.beta, settings.gate,
        settings.seed, starts=starts,
    )  # fmt: skip
    folder = Path(settings.out or results_dir(settings) / "genea")
    bar = partial(track, description="Generating")
    written = export_takes(exporter, recordings, folder, settings.samples, bar)
    write_environment(folder, device)
    LOG.info(f"{len(written)} motion files of {len(recordings)} test recordings are in {folder}.")
    missing = sum(entry.split == "test" for entry in corpus.entries()) - len(recordings)
    if missing:
        LOG.warning(
            f"{missing} test recordings could not be prepared, and lack; {store.folder}/quarantine.csv has why."
        )
    if settings.data.reader == "beat2" and (speakers := settings.data.speakers) != "all":
        LOG.warning(f"The leaderboard takes the test recordings of all speakers; these are of {speakers}.")


def _check_export(settings: GeneaSettings) -> None:
    """Say what is wrong with a folder, and with the training lists of its run.

    Raises:
        SemTalkError: Something is.
    """
    from semtalk.data.open import open_corpus
    from semtalk.evaluation.submission import problems

    whole = {"speakers": "all"} if settings.data.reader == "beat2" else {}
    corpus = open_corpus(settings.data.model_copy(update=whole))
    found = list(problems(Path(settings.check), corpus, settings.samples))
    if settings.ckpt:
        from semtalk.evaluation.genea import list_problems
        from semtalk.generation.hub import located_model
        from semtalk.tasks.checkpoint import read_stamp

        run = located_model(settings.ckpt, settings.revision)
        read_stamp(run, "base")
        found += list_problems(run, corpus)
    for line in found:
        LOG.info(line)
    if found:
        raise SemTalkError(f"check={settings.check}: what is listed above is wrong ({len(found)}).")
    lists = "its run's training lists too" if settings.ckpt else "training lists were not looked at (ckpt=RUN)"
    LOG.info(f"{settings.check}: nothing is wrong; {lists}.")


def _cut_segments(settings: GeneaSettings) -> None:
    from functools import partial

    from rich.progress import track

    from semtalk.evaluation.stimuli import is_leaderboards, plan_stimuli, write_stimuli

    table = Path(settings.segments)
    stimuli = plan_stimuli(table, settings.motions, settings.audio, settings.seed, settings.samples)
    own = "the leaderboard's own table" if is_leaderboards(table) else "another table than the leaderboard's"
    LOG.info(f"{table}: {len(stimuli)} segments; {own}.")
    alone = sorted({stimulus.segment.speaker for stimulus in stimuli if stimulus.other is None})
    if alone:
        LOG.warning(f"No mismatched speech for {', '.join(alone)}: {table} has one segment of each.")
    folder = Path(settings.out or Path(settings.motions) / "stimuli")
    bar = partial(track, description="Cutting")
    write_stimuli(stimuli, folder, settings.video, settings.video_seconds, bar)
    LOG.info(f"The stimuli are in {folder}.")
