"""An evaluation in pieces that several processes share: what is found of each is joined in the order of the takes."""

import copy
import multiprocessing
import uuid
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import torch

from semtalk.environment import cores
from semtalk.errors import SemTalkError

T = TypeVar("T")
_OPENED: dict[str, Any] = {}
"""Of a process that shares an evaluation: what it opened for it. Processes stay for later evaluations."""


def joined(first: T, second: T) -> T:
    """What was found of takes, and of those after them: lists one behind the other, numbers and arrays summed.

    Dictionaries are joined key by key, other objects attribute by attribute.
    """
    if isinstance(first, (list, int, float)) or hasattr(first, "__array__"):
        return first + second
    if isinstance(first, dict):
        return first | {key: joined(first[key], value) if key in first else value for key, value in second.items()}
    if first is None or isinstance(first, str):
        return first
    both = copy.copy(first)
    vars(both).update(joined(vars(first), vars(second)))
    return both


def in_processes(make: Callable[[], Callable[[int], T]], pieces: int, processes: int) -> Iterator[T]:
    """What several processes find of pieces, in the order of the pieces; each has as many threads as this one, at most.

    Args:
        make: Opens, once in each process, what finds something of a piece by its number.
        pieces: How many there are.
        processes: How many share them.

    Raises:
        SemTalkError: One of them was killed.
    """
    from joblib import Parallel, delayed
    from joblib.externals.loky.process_executor import TerminatedWorkerError

    threads = max(1, min(torch.get_num_threads(), cores() // processes))
    shares = Parallel(n_jobs=processes, return_as="generator")
    try:
        evaluation = uuid.uuid4().hex
        yield from shares(delayed(_find)(evaluation, make, number, threads) for number in range(pieces))
    except TerminatedWorkerError as error:
        raise SemTalkError(
            f"processes={processes}: one of them was killed, most often for want of memory; give fewer."
        ) from error


def _find(evaluation: str, make: Callable[[], Callable[[int], T]], number: int, threads: int) -> T:
    torch.set_num_threads(threads)
    if evaluation not in _OPENED:
        _OPENED.clear()
        _OPENED[evaluation] = make()
    return _OPENED[evaluation](number)


def own_device(kind: str) -> str:
    """The device of a process that shares the work: the GPUs in turn."""
    if kind != "cuda":
        return kind
    number = int(multiprocessing.current_process().name.rpartition("-")[2])
    return f"cuda:{number % torch.cuda.device_count()}"
