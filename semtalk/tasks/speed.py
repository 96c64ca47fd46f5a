"""The plan of a training: precision, kernels, memory and where the data lie.

Plans differ in speed alone: parameters, checkpoints and, but for rounding and the random numbers of dropout, losses are
the same under each.
"""

import ctypes
import os

import torch
from torch import nn

from semtalk.environment import cpuinfo
from semtalk.errors import SemTalkError
from semtalk.features.pretrained import pick_device
from semtalk.log import LOG
from semtalk.models.dropout import Dropout
from semtalk.models.grouped import ByPart
from semtalk.models.layers import CrossAttention
from semtalk.settings.commands import Speed, Trainer

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


def warn_of_shared_cores(trainer: Trainer) -> None:
    """Say that a machine has fewer cores than ``trainer.devices`` starts processes on it."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    many = isinstance(trainer.devices, int) and trainer.devices > cores
    if many and trainer_device(trainer.accelerator).type == "cpu":
        LOG.warning(f"trainer.devices={trainer.devices}: these processes share {cores} cores; fewer are as fast.")


def fast_in_bf16(device: torch.device) -> bool:
    """Whether a device multiplies matrices faster in bf16 than in float32: newer GPUs, and CPUs with units for it.

    Those are matrix units (``amx_bf16``) and AMD's dot products (``avx512_bf16``, from Zen 4 on); Intel's dot products
    reach half the rate of its float32. oneDNN must be free to use them: under ``ONEDNN_MAX_CPU_ISA=AVX2`` bf16 crawls.
    """
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    flags = cpuinfo("flags").split()
    units = "amx_bf16" in flags or ("avx512_bf16" in flags and cpuinfo("vendor_id") == "AuthenticAMD")
    return units and torch.ops.mkldnn._is_mkldnn_bf16_supported()


def resolve_plan(trainer: Trainer, speed: Speed) -> tuple[Trainer, Speed]:
    """What ``trainer`` and ``speed`` mean on their device: precision and compile are not ``auto`` any more.

    Raises:
        SemTalkError: There is no such device.
    """
    device = trainer_device(trainer.accelerator)
    if trainer.precision == "auto":
        trainer = trainer.model_copy(update={"precision": "bf16-mixed" if fast_in_bf16(device) else "32-true"})
    if speed.compile in ("auto", True):
        mode = "default" if device.type == "cuda" or speed.compile is True else False
        speed = speed.model_copy(update={"compile": mode})
    if trainer.precision == "16-mixed":  # a fused Adam would unscale gradients after they are clipped
        speed = speed.model_copy(update={"fused_adam": False})
    return trainer, speed


def phase_precision(precision: str, mixed: bool) -> str:
    """Precision of a phase: one that does not bear a mixed precision keeps float32."""
    return precision if mixed or not precision.endswith("-mixed") else "32-true"


def apply_speed(network: nn.Module, speed: Speed) -> None:
    """Switch the kernels of a network to a resolved plan."""
    for module in network.modules():
        if isinstance(module, Dropout):
            module.packed = speed.packed_dropout
        elif isinstance(module, ByPart):
            module.grouped = speed.grouped_parts
        elif isinstance(module, CrossAttention):
            module.recompute = speed.recompute
    if speed.compile:
        network.compile(mode=speed.compile)


def keep_freed_memory() -> bool:
    """Have the C library keep freed memory for the next step; training on a CPU else faults its pages in every time.

    Returns:
        Whether this system can.
    """
    if os.name != "posix" or not hasattr(library := ctypes.CDLL(None), "mallopt"):
        return False
    return bool(library.mallopt(M_MMAP_THRESHOLD, 1 << 30) and library.mallopt(M_TRIM_THRESHOLD, -1))
