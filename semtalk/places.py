"""Where the package, its configurations and its checkout are, and where a run keeps its networks."""

import glob
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent
CONFIGS = PACKAGE / "configs" if (PACKAGE / "configs").is_dir() else PACKAGE.parent / "configs"
"""Inside the package where a wheel was installed, beside it in a checkout."""
CHECKOUT = PACKAGE.parent if CONFIGS.parent == PACKAGE.parent else None
"""Root of the checkout that the package is run from; none where a wheel was installed."""

CONFIG, WEIGHTS = "config.json", ".safetensors"
"""Of a published model: what says all of its networks, and the ending of their files."""


def is_published(folder: str | Path) -> bool:
    """Whether a folder is a published model, not a run."""
    return (Path(folder) / CONFIG).is_file()


def checkpoint_path(run_dir: str | Path, phase: str, which: str = "best") -> Path:
    """Where a run keeps the checkpoint of a phase, or a published model its weights."""
    if which == "best" and is_published(run_dir):
        return Path(run_dir) / f"{phase}{WEIGHTS}"
    return Path(run_dir) / phase / f"{which}.ckpt"


def no_checkpoint(path: Path, phase: str, stage: str) -> str:
    """What is said where a network is missing that another stage of training makes."""
    return (
        f"{path}: there is no checkpoint of '{phase}' here. Make it with `{called('train')} stage={stage}` and the "
        "same data, model and name."
    )


def runs_of_seeds(runs_dir: Path, name: str) -> list[Path]:
    """Folders ``NAME_seedN`` of the runs of several seeds, by their seeds."""
    there = runs_dir.glob(f"{glob.escape(name)}_seed*")
    seeds = {int(seed): folder for folder in there if (seed := folder.name.rpartition("_seed")[2]).isdecimal()}
    return [seeds[seed] for seed in sorted(seeds)]


def called(command: str) -> str:
    """How a command is called from the current folder: as a script where that is the checkout, else as installed.

    Args:
        command: ``train``, ``eval``, ``generate``, ``prepare`` or ``fetch``.
    """
    if CHECKOUT is None or Path.cwd() != CHECKOUT:
        return f"semtalk {command}"
    return f"python {command}.py" if (CHECKOUT / f"{command}.py").is_file() else f"python scripts/{command}.py"
