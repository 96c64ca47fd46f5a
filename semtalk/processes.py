"""What the processes of one training say to each other: sums, windows, and whether they are at the same thing.

Each function is for all processes at once, as often and in the same order on each, and does nothing where there is one.
"""

import torch
import torch.distributed as dist
from torch import Tensor

from semtalk.errors import SemTalkError


def world() -> int:
    """How many processes train together."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def rank() -> int:
    """Number of this process, from 0."""
    return dist.get_rank() if world() > 1 else 0


def sum_over_processes(*tensors: Tensor) -> None:
    """Sum tensors over all processes, in place."""
    if world() > 1:
        for tensor in tensors:
            dist.all_reduce(tensor)


def largest_over_processes(numbers: list[int], device: torch.device) -> list[int]:
    """The largest that the processes have of each of some whole numbers.

    Args:
        numbers: Of this process.
        device: Of this process, whose memory the processes' messages pass through.
    """
    if world() == 1:
        return numbers
    largest = torch.tensor(numbers, device=device)
    dist.all_reduce(largest, dist.ReduceOp.MAX)
    return largest.tolist()


class _Mean(torch.autograd.Function):
    """Mean over all processes."""

    @staticmethod
    def forward(context, value: Tensor) -> Tensor:
        total = value.clone()
        sum_over_processes(total)
        return total / world()

    @staticmethod
    def backward(context, gradient: Tensor) -> Tensor:
        return _Mean.forward(context, gradient)


def mean_over_processes(value: Tensor) -> Tensor:
    """Mean of a tensor over all processes; gradients go back to each of them."""
    return _Mean.apply(value) if world() > 1 else value


class _Gathered(torch.autograd.Function):
    """Windows (B, ...) of all W processes, (B, W, ...)."""

    @staticmethod
    def forward(context, windows: Tensor) -> Tensor:
        parts = [torch.empty_like(windows) for _ in range(world())]
        dist.all_gather(parts, windows.contiguous())
        return torch.stack(parts, dim=1)

    @staticmethod
    def backward(context, gradient: Tensor) -> Tensor:
        gradient = gradient.contiguous()
        sum_over_processes(gradient)
        return gradient[:, rank()]


def windows_of_all(windows: Tensor) -> Tensor:
    """Windows (B, ...) of all W processes, (B W, ...), as one process has them: they are dealt out one by one.

    Every process gives as many. Gradients go back to where a window is from.
    """
    return _Gathered.apply(windows).flatten(0, 1) if world() > 1 else windows


def places_among_all(count: int, device: torch.device) -> Tensor:
    """Places (B,) of this process's windows among :func:`windows_of_all`."""
    return torch.arange(count, device=device) * world() + rank()


def share(amount: Tensor) -> Tensor:
    """Factor () by which a mean over what this process has counts, so that the mean over processes is that over all.

    Args:
        amount: () of what the mean is over: a count, or a sum of weights.
    """
    if world() == 1:
        return torch.ones_like(amount, dtype=torch.float32)
    total = amount.detach().float().clone()
    sum_over_processes(total)
    return amount * world() / total.clamp(min=1e-6)


def refuse_different(said: dict[str, str]) -> None:
    """See that all processes say the same.

    Args:
        said: What it is -> what this process says of it.

    Raises:
        SemTalkError: One does not, on each of them.
    """
    if world() == 1:
        return
    everyone: list = [None] * world()
    dist.all_gather_object(everyone, said)
    for number, other in enumerate(everyone):
        for name, value in everyone[0].items():
            if other[name] != value:
                raise SemTalkError(
                    f"process {number} of the training has another {name} than process 0 ({other[name]}, not {value}); "
                    "start all of them with the same command, from the same code."
                )
