"""All that settings need and a machine may lack, found at once: before anything is prepared, or torch imported."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from shlex import quote

from semtalk.catalogue import BEAT2, EMBEDDER, SHOW, SMPLX, SMPLX_FILE, Thing
from semtalk.data.open import open_corpus, prepared_slots
from semtalk.errors import MissingModelError, SemTalkError
from semtalk.features.needs import Need, model_need, needs_table, package_need, slot_needs
from semtalk.features.packages import PACKAGES
from semtalk.places import called, checkpoint_path
from semtalk.settings.commands import Command, TrainSettings
from semtalk.settings.inputs import Corpus as CorpusSettings
from semtalk.settings.inputs import Slots

UNFINISHED = ".fetching"
"""In the folder of a corpus while it is fetched."""


def opened(data: CorpusSettings):
    """The reader of a corpus, or why there is none."""
    try:
        return open_corpus(data)
    except SemTalkError as error:
        return error


def needs_of(settings: Command, corpus) -> list[Need]:
    """What settings need, and whether it is here.

    Args:
        settings: Of a command.
        corpus: Its reader, or why there is none.
    """
    found = [_corpus_need(settings, corpus)] if settings.data.reader in ("beat2", "show") else []
    entries = [] if isinstance(corpus, SemTalkError) else corpus.entries()
    prepared = prepared_slots(settings, entries) if entries else set()
    for slot in Slots.model_fields:
        needs = slot_needs(settings.features, slot)
        found += [need._replace(here=True, place="prepared") for need in needs] if slot in prepared else needs
    found += _show_needs(settings, corpus) if settings.data.reader == "show" else []
    found.append(_body_need("body", settings.body.path, settings.body.model))
    return found + (_training_needs(settings) if isinstance(settings, TrainSettings) else [])


def _corpus_need(settings: Command, corpus) -> Need:
    data = settings.data
    thing = BEAT2 if data.reader == "beat2" else SHOW
    if data.reader == "show":
        from semtalk.data.show_split import speakers_here

        here = data.root is not None and bool(speakers_here(Path(data.root)))
        reason = f"  # {corpus}" if isinstance(corpus, SemTalkError) else ""
        return Need("corpus", thing, here, f"{thing.command}{reason}", str(data.root))
    who = "all speakers" if data.speakers == "all" else f"speaker {', '.join(map(str, data.speakers))}"
    thing = replace(thing, name=f"{thing.name}, {who}", hub=thing.hub if data.root else None)
    if data.root is None:
        reason = "data.root is not set: DIR is where it is, or shall be"
    elif isinstance(corpus, SemTalkError):
        reason = str(corpus)
    elif (Path(data.root) / UNFINISHED).is_file():
        reason = "an earlier fetch was not finished, and goes on"
    elif absent := corpus.absent():
        reason = f"there is no motion of speaker {', '.join(map(str, absent))}"
    else:
        return Need("corpus", thing, True, "", str(data.root))
    command = f"{called('fetch')} {_same(settings)}{quote('data.root=' + (data.root or 'DIR'))}"
    return Need("corpus", thing, False, f"{command}  # {reason}")


def _same(settings: Command) -> str:
    """The corpus's words of the command line."""
    data = settings.data
    speakers = "" if data.speakers == [2] else f"data.speakers={str(data.speakers).replace(' ', '')} "
    return f"data={data.reader} {speakers}"


def _show_needs(settings: Command, corpus) -> list[Need]:
    """What SHOW's hands and words need."""
    data, needs = settings.data, []
    if data.hands == "smplx" and data.smplx_path != settings.body.path:
        needs.append(_body_need("hands", data.smplx_path, "auto"))
    elif data.hands == "smplx" and data.smplx_path is None:
        needs.append(
            Need("hands", SMPLX, False, f"{_smplx('DIR')}  # then body.path=DIR; data.hands=mean does without")
        )
    if data.words == "whisper" and (isinstance(corpus, SemTalkError) or corpus.untranscribed()):
        needs.append(package_need("words", "faster-whisper"))
        if data.whisper in PACKAGES or "/" in data.whisper:
            needs.append(model_need("words", "data.whisper", data.whisper))
    return needs


def _smplx(folder: str) -> str:
    return SMPLX.command.format(folder=folder)


def _body_need(purpose: str, path: str | None, model: str) -> Need:
    if model != "auto":
        return Need(purpose, Thing(model, "-", "its own"), True, "", "a class of an installed package")
    if path is None:
        stand_in = Thing("the stand-in", "-", "Apache-2.0")
        return Need(
            purpose, stand_in, True, "", "installed; body.path=DIR gives SMPL-X, which published numbers are of"
        )
    return Need(purpose, SMPLX, (Path(path) / SMPLX_FILE).is_file(), _smplx(path), str(Path(path) / SMPLX_FILE))


def _training_needs(settings: TrainSettings) -> list[Need]:
    """What a training needs beside corpus, features and body: an embedder that it takes over, and its logger."""
    needs = []
    if run := settings.embedder:
        there = checkpoint_path(run, "fgd").is_file()
        how = f"{_released(settings)}  # embedder={run}: there is no checkpoint of 'fgd' in it"
        needs.append(Need("embedder", EMBEDDER, there, how, run))
    if settings.logger.name == "tensorboard":
        needs.append(package_need("logger", "tensorboard"))
    return needs


def _released(settings: TrainSettings) -> str:
    """The command that makes the run whose embedder is taken over of the authors' own."""
    return EMBEDDER.command.format(root=getattr(settings.data, "root", None) or "DIR", folder=settings.embedder)


def refuse_run(key: str, run: str | Path, phases: Sequence[str], instead: str = "") -> None:
    """See that a run that a key names has trained networks, before anything is read or prepared.

    Args:
        key: Of the settings.
        run: Its folder, or that of a published model.
        phases: Whose networks are taken over.
        instead: What may be done instead; by default the key is left out.

    Raises:
        SemTalkError: It lacks one.
    """
    for phase in phases:
        if not checkpoint_path(run, phase).is_file():
            raise SemTalkError(
                f"{key}={run}: there is no checkpoint of '{phase}' in it; give the folder of a run that has one, as in "
                f"{key}=runs/NAME, or {instead or f'leave {key} out'}."
            )


def initial_phase(run: str | Path) -> str:
    """The first phase whose network a run has that another training starts from.

    Raises:
        SemTalkError: It has none.
    """
    from semtalk.settings.commands import PHASE_NAMES

    for phase in PHASE_NAMES:
        if checkpoint_path(run, phase).is_file():
            return phase
    raise SemTalkError(f"init={run}: there is no checkpoint here; give the folder of a run, as in runs/NAME.")


def fetchable(needs: list[Need]) -> list[Need]:
    """What is missing and may be fetched from the hub."""
    return [need for need in needs if not need.here and need.thing.hub]


def missing_table(needs: list[Need]) -> str:
    """What is missing, and which of it the hub has."""
    lacking = [need for need in needs if not need.here]
    count = "One thing is" if len(lacking) == 1 else f"{len(lacking)} things are"
    said = f"{count} missing that these settings need.\n\n{needs_table(lacking)}"
    if there := fetchable(lacking):
        said += f"\n\n`{called('fetch')}` with the same arguments brings {len(there)} of these from the hub."
    return said


def refuse_missing(settings: Command, corpus) -> None:
    """See that everything that settings need is here.

    Args:
        settings: Of a command.
        corpus: Its reader, or why there is none.

    Raises:
        SemTalkError: Something is missing: one table of all of it; or the corpus or the embedder alone, in its own
            sentence.
    """
    needs = needs_of(settings, corpus)
    lacking = [need for need in needs if not need.here]
    purposes = {need.purpose for need in lacking}
    if isinstance(corpus, SemTalkError) and purposes <= {"corpus"}:
        raise corpus
    if isinstance(settings, TrainSettings) and settings.embedder and purposes == {"embedder"}:
        refuse_run("embedder", settings.embedder, ["fgd"], f"make one of the authors' with `{_released(settings)}`")
    if lacking:
        raise MissingModelError(missing_table(needs))
