"""How a command is run: its words, its settings, what is said of errors, and where a run lies."""

from __future__ import annotations

import errno
import gc
import math
import sys
from collections.abc import Callable
from contextlib import nullcontext
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from semtalk.errors import DivergedError, SemTalkError
from semtalk.log import ended_by_its_reader, print_messages, printable
from semtalk.places import checkpoint_path, no_checkpoint
from semtalk.threads import wait_briefly

if TYPE_CHECKING:
    from semtalk.settings.commands import (
        Command,
        EvalSettings,
        TrainSettings,
    )

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""Errors of a disk, or of a share of it, that takes no more."""
PRINT = {"-h", "--help", "--hydra-help", "-c", "--cfg", "-i", "--info", "--version"}
"""Options that only print."""
KEPT = 50_000
"""New objects before Python looks for unused ones: imports make many that stay, and the default looks at every 700."""


def start(main: Callable[[], None], name: str, help_of: str | None = None) -> None:
    """Run a script's Hydra function with the words of the command line as Hydra wants them.

    Args:
        main: The function.
        name: Of its configuration in ``configs/``.
        help_of: The command whose help is shown, where it is not that of the configuration.
    """
    wait_briefly()  # torch is not loaded yet
    gc.set_threshold(KEPT)
    if help_of and {"-h", "--help"} & set(sys.argv):
        sys.argv.append(f"hydra/help={help_of}")
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # names of files need not be text
    if any(not word.startswith(("-", "hydra.")) for word in sys.argv[1:]):  # --help waits for no settings
        from semtalk.settings.refuse import refuse
        from semtalk.settings.words import SEEDED, for_hydra, seeds_swept

        try:
            refuse(name, sys.argv[1:])
            words = seeds_swept(sys.argv[1:]) if name in SEEDED else sys.argv[1:]
            sys.argv[1:] = for_hydra(name, words)
        except SemTalkError as error:
            sys.exit(f"error: {error}")
    with ended_by_its_reader() if PRINT & set(sys.argv) else nullcontext():
        main()


def command(function: Callable[[Command], float | None], name: str, config: DictConfig) -> float | None:
    """Run a command with the configuration of ``configs/NAME.yaml``.

    What the user should mend is one sentence on stderr, and exit code 1.

    Returns:
        What a search makes small: of a training; not a number where it diverged, and the search goes on.
    """
    from semtalk.settings import settings_of

    print_messages()
    try:
        return function(settings_of(name, OmegaConf.to_container(config, resolve=True, throw_on_missing=True)))
    except DivergedError as error:
        if not _is_searched():
            sys.exit(f"error: {printable(error)}")
        print(f"error: {printable(error)}", file=sys.stderr)
        return math.nan
    except (SemTalkError, OmegaConfBaseException) as error:
        sys.exit(f"error: {printable(error)}")
    except OSError as error:
        if error.filename is None and error.errno not in FULL:
            raise
        sys.exit(f"error: {printable(error.filename or 'the disk')}: {error.strerror}; nothing half-written is left.")
    except KeyboardInterrupt:
        print("Stopped; nothing half-written is left.", file=sys.stderr)
        sys.exit(130)


def _is_searched() -> bool:
    """Whether a sweeper that chooses values by itself started this run."""
    from hydra.core.hydra_config import HydraConfig
    from hydra.types import RunMode

    if not HydraConfig.initialized():
        return False
    hydra = HydraConfig.get()
    return hydra.mode == RunMode.MULTIRUN and not hydra.sweeper._target_.endswith(".BasicSweeper")


def run_dir(settings: Command) -> Path:
    """Folder that all stages of a run share: ``ckpt`` where it is given."""
    return Path(getattr(settings, "ckpt", None) or Path(settings.runs_dir) / settings.run_name)


def refuse_untrained(settings: Command) -> None:
    """See, before torch is loaded, that the folder of a run has the network that makes motion.

    Raises:
        SemTalkError: It has not.
    """
    path = checkpoint_path(run_dir(settings), "base")
    if getattr(settings, "revision", None) is None and not (_of_the_hub(settings) or path.is_file()):
        raise SemTalkError(no_checkpoint(path, "base", "semtalk"))


def _of_the_hub(settings: Command) -> bool:
    from semtalk.catalogue import is_repository

    return is_repository(getattr(settings, "ckpt", None), getattr(settings, "revision", None))


def results_dir(settings: Command) -> Path:
    """Folder below which results go by default: that of the run; of a model of the hub, one in ``runs_dir``."""
    return Path(settings.runs_dir) / settings.ckpt if _of_the_hub(settings) else run_dir(settings)


def shared_embedder(settings: TrainSettings | EvalSettings) -> str | None:
    """Run whose FGD embedder the seeds of one command share; none for a run that is not one of several seeds."""
    from semtalk.tasks.checkpoint import embedder_of_seeds

    if not settings.seed_in_name:
        return None
    name = settings.name + (settings.suffix or "")
    return embedder_of_seeds(run_dir(settings).parent, name, settings.plain()["data"])
