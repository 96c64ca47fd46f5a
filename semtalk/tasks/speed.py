"""The plan of a training: precision, kernels, memory and where the data lie.

Plans differ in speed alone: parameters, checkpoints and, but for rounding and the random numbers of dropout, losses are
the same under each.
"""

import ctypes
import os
from collections.abc import Mapping

import torch
from torch import nn

from semtalk.errors import SemTalkError
from semtalk.features.pretrained import pick_device
from semtalk.models.dropout import Dropout
from semtalk.models.grouped import ByPart
from semtalk.models.layers import CrossAttention
from semtalk.settings import check_group

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
"""Of mallopt(3)."""


def trainer_device(accelerator: str) -> torch.device:
    """The device of ``trainer.accelerator``.

    Raises:
        SemTalkError: There is no GPU.
    """
    if accelerator == "gpu" and not torch.cuda.is_available():
        raise SemTalkError("trainer.accelerator=gpu: there is no GPU here; use trainer=cpu or trainer=auto.")
    return pick_device("cpu" if accelerator == "cpu" else "auto")


def fast_in_bf16(device: torch.device) -> bool:
    """Whether a device multiplies matrices faster in bf16 than in float32: newer GPUs, and CPUs with matrix units."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return torch.cpu._is_amx_tile_supported()


def resolve_plan(trainer: Mapping) -> dict:
    """What ``trainer`` means on its device: precision and compile are not ``auto`` any more.

    Raises:
        SemTalkError: There is no such device, or a key has a value that it does not take.
    """
    check_group("trainer", trainer)
    plan, device = dict(trainer), trainer_device(trainer["accelerator"])
    if plan["precision"] == "auto":
        plan["precision"] = "bf16-mixed" if fast_in_bf16(device) else "32-true"
    if plan["compile"] in ("auto", True):
        plan["compile"] = "default" if device.type == "cuda" or plan["compile"] is True else False
    if plan["precision"] == "16-mixed":
        plan["fused_adam"] = False  # it would unscale gradients after they are clipped
    return plan


def phase_precision(precision: str, mixed: bool) -> str:
    """Precision of a phase: one that does not bear a mixed precision keeps float32."""
    return precision if mixed or not precision.endswith("-mixed") else "32-true"


def apply_plan(network: nn.Module, plan: Mapping) -> None:
    """Switch the kernels of a network to a resolved plan."""
    for module in network.modules():
        if isinstance(module, Dropout):
            module.packed = plan["packed_dropout"]
        elif isinstance(module, ByPart):
            module.grouped = plan["grouped_parts"]
        elif isinstance(module, CrossAttention):
            module.recompute = plan["recompute"]
    if plan["compile"]:
        network.compile(mode=plan["compile"])


def keep_freed_memory() -> bool:
    """Have the C library keep freed memory for the next step; training on a CPU else faults its pages in every time.

    Returns:
        Whether this system can.
    """
    if os.name != "posix" or not hasattr(library := ctypes.CDLL(None), "mallopt"):
        return False
    return bool(library.mallopt(M_MMAP_THRESHOLD, 1 << 30) and library.mallopt(M_TRIM_THRESHOLD, -1))
