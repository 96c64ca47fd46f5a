"""``semtalk runs``: what was trained, how far each run is, and which one a process works at."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import BaseModel, ValidationError

from semtalk.claim import worker
from semtalk.errors import SemTalkError
from semtalk.files import checkpoint_facts
from semtalk.log import printable
from semtalk.settings.commands import CHAIN, PHASE_NAMES

STATES = ("at work", "dead", "unknown", "damaged", "unfinished", "finished")
"""What a run is, is the first of these that a phase of it is. Dead: its process ended without a word; unfinished: it
was stopped, and goes on with ``resume=true``; unknown: its process is on a machine that cannot be asked."""
COLOURS = {"at work": "green", "dead": "red", "damaged": "red", "unknown": "yellow", "unfinished": "yellow"}
FIGURES = ("jaw_r", "expressions_r", "gate_f1", "fgd", "degrees", "aligned", "loss")
"""Of a validation, where it has them."""
HELP = """semtalk runs                   the runs in runs/
semtalk runs runs_dir=DIR      those in DIR
semtalk runs name=NAME         the phases of one run

State, phases, figures of the best checkpoint's validation, hours and minutes trained, size on disk."""


@dataclass
class Phase:
    """A phase of a run, as it is on disk.

    Attributes:
        name: Of the phase.
        state: One of :data:`STATES`.
        said: Which process, or what is wrong.
        step: Of its latest checkpoint, where it is not finished.
        best: Step of its best checkpoint.
        numbers: Its validation.
        seconds: That it was trained; none where an earlier version, or a conversion, wrote it.
        size: In bytes.
    """

    name: str
    state: str
    said: str = ""
    step: int | None = None
    best: int | None = None
    numbers: dict[str, float] = field(default_factory=dict)
    seconds: float | None = None
    size: int = 0

    @property
    def figures(self) -> str:
        """The numbers that matter."""
        return ", ".join(f"{name} {self.numbers[name]:.3g}" for name in FIGURES if name in self.numbers)


def size_of(folder: Path) -> int:
    """Bytes of all files in a folder."""
    paths = (Path(where) / name for where, _, names in os.walk(folder) for name in names)
    return sum(path.lstat().st_size for path in paths)


class Kept(BaseModel):
    """What :class:`semtalk.tasks.keep.Keeper` puts into a checkpoint, where it was there."""

    step: int | None = None
    numbers: dict[str, float] = {}
    seconds: float | None = None


class Callbacks(BaseModel):
    """Of a checkpoint."""

    Keeper: Kept = Kept()


class Stamped(BaseModel):
    """What a checkpoint says of itself; earlier versions, and conversions, say less."""

    finished: bool = True


class Facts(BaseModel):
    """What is listed of a checkpoint."""

    global_step: int | None = None
    semtalk: Stamped = Stamped()
    callbacks: Callbacks | None = None

    @property
    def kept(self) -> Kept:
        """By its callback."""
        return self.callbacks.Keeper if self.callbacks else Kept()


def read_facts(path: Path) -> Facts | None:
    """What is listed of a checkpoint; none where it is not there.

    Raises:
        SemTalkError: It is damaged.
    """
    if not path.is_file():
        return None
    try:
        return Facts.model_validate(checkpoint_facts(path))
    except ValidationError as error:
        key = ".".join(map(str, error.errors()[0]["loc"])) or "content"
        raise SemTalkError(
            f"{path}: its {key} is not what a checkpoint has there; copy it again, or train anew."
        ) from error


def read_phase(folder: Path) -> Phase | None:
    """A phase from its folder; none where nothing was trained in it."""
    state, said = worker(folder)
    last = None
    try:
        best = read_facts(folder / "best.ckpt")
        finished = best is not None and best.semtalk.finished
        if not finished:
            last = read_facts(folder / "last.ckpt")
    except SemTalkError as error:
        return Phase(folder.name, state or "damaged", str(error), size=size_of(folder))
    if not (state or best or last):
        return None
    judged, newest = best or Facts(), last or best or Facts()
    return Phase(
        folder.name, state or ("finished" if finished else "unfinished"), said, last.global_step if last else None,
        judged.kept.step, judged.kept.numbers, newest.kept.seconds, size_of(folder),
    )  # fmt: skip


def read_run(folder: Path) -> list[Phase]:
    """The phases of a run that were begun, in their order."""
    found = (read_phase(folder / name) for name in PHASE_NAMES if (folder / name).is_dir())
    return [phase for phase in found if phase is not None]


def state_of(phases: Sequence[Phase]) -> str:
    """What a run is."""
    return min((phase.state for phase in phases), key=STATES.index)


def _plain(text: str) -> str:
    """A text as the table shows it, with nothing in it that is taken for a style or moves the cursor."""
    from rich.markup import escape

    return escape(printable(text))


def _cells(phases: Sequence[Phase], size: int) -> list[str]:
    """What a row has of phases: figures of the latest that was judged and what is to be said, time trained, size."""
    figures = next((phase.figures for phase in reversed(phases) if phase.numbers), "")
    said = [phase.said for phase in phases if phase.said]
    known = [phase.seconds for phase in phases if phase.seconds is not None]
    minutes = round(sum(known) / 60)
    trained = f"{minutes // 60}:{minutes % 60:02} h" if known else ""
    return [_plain("; ".join(filter(None, [figures, *said]))), trained, f"{size / 1e6:,.0f} MB"]


def _coloured(state: str) -> str:
    return f"[{COLOURS[state]}]{state}[/]" if state in COLOURS else state


def _rows_of_run(folder: Path) -> Iterator[list[str]]:
    phases = read_run(folder)
    if not phases:
        raise SemTalkError(f"name={folder.name}: nothing was trained in {folder}.")
    for phase in phases:
        steps = ["" if step is None else str(step) for step in (phase.step, phase.best)]
        yield [phase.name, _coloured(phase.state), *steps, *_cells([phase], phase.size)]


def _rows_of_runs(folder: Path) -> Iterator[list[str]]:
    for path in sorted(one for one in folder.iterdir() if one.is_dir()):
        if phases := read_run(path):
            state = state_of(phases)
            which = ", ".join(phase.name for phase in phases if phase.state == state)
            count = sum(phase.name in CHAIN for phase in phases)
            reached = f"{count} of {len(CHAIN)}" if state == "finished" else which
            yield [_plain(path.name), _coloured(state), reached, *_cells(phases, size_of(path))]


def print_runs(arguments: Sequence[str]) -> None:
    """Print the table.

    Args:
        arguments: Of the command: ``runs_dir=DIR``, ``name=NAME``.

    Raises:
        SemTalkError: There is no such key, folder or run.
    """
    from rich.console import Console
    from rich.table import Table

    given = {"runs_dir": "runs", "name": ""}
    for argument in arguments:
        key, _, value = argument.partition("=")
        if key not in given or not value:
            raise SemTalkError(f"{argument}: give runs_dir=DIR or name=NAME.")
        given[key] = value
    folder, name = Path(given["runs_dir"]), given["name"]
    if not folder.is_dir():
        raise SemTalkError(f"runs_dir={folder}: there is no such folder.")
    first = ["phase", "state", "step", "best at"] if name else ["run", "state", "phases"]
    table = Table(*first, "figures of the best", "trained", "size")
    for row in _rows_of_run(folder / name) if name else _rows_of_runs(folder):
        table.add_row(*row)
    console = Console()
    console.print(_plain(str(folder / name)), soft_wrap=True)
    console.print(table)
