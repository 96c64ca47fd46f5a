"""Dropout whose mask is drawn sixteen bits an element and kept as one byte, or not at all.

torch's own on a CPU draws one number after another and keeps a mask as wide as the values; it takes a quarter of a
training step there. On other devices torch's kernels are used.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

LEVELS = 1 << 16


def keep_mask(like: Tensor, p: float) -> Tensor:
    """Random 1 with probability ``1 - p`` (to a 65,536th), else 0, as bytes of a tensor's shape."""
    bits = torch.empty(-(-like.numel() // 4), dtype=torch.int64).random_(-(2**63), None).view(torch.int16)
    keep = bits[: like.numel()] >= round(p * LEVELS) - LEVELS // 2
    return keep.view(torch.uint8).view(like.shape)


class _Dropout(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor, p: float) -> Tensor:
        keep = keep_mask(x, p)
        ctx.save_for_backward(keep)
        ctx.scale = 1 / (1 - p)
        return (x * keep.to(x.dtype)).mul_(ctx.scale)

    @staticmethod
    def backward(ctx, gradient: Tensor):
        (keep,) = ctx.saved_tensors
        return (gradient * keep.to(gradient.dtype)).mul_(ctx.scale), None


class _ReluDropout(torch.autograd.Function):
    """What is positive afterwards was positive and kept: the output, which the next layer keeps anyway, is the mask."""

    @staticmethod
    def forward(ctx, x: Tensor, p: float) -> Tensor:
        ctx.scale = 1 / (1 - p)
        y = F.relu(x).mul_(keep_mask(x, p).to(x.dtype)).mul_(ctx.scale)
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx, gradient: Tensor):
        (y,) = ctx.saved_tensors
        return torch.ops.aten.threshold_backward(gradient, y, 0).mul_(ctx.scale), None


class _AddDropout(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor, y: Tensor, p: float) -> Tensor:
        keep = keep_mask(y, p)
        ctx.save_for_backward(keep)
        ctx.scale, ctx.kind = 1 / (1 - p), y.dtype
        return torch.add(x, y * keep.to(y.dtype), alpha=ctx.scale)

    @staticmethod
    def backward(ctx, gradient: Tensor):
        (keep,) = ctx.saved_tensors
        return gradient, gradient.to(ctx.kind).mul(keep.to(ctx.kind)).mul_(ctx.scale), None


class Dropout(nn.Module):
    """Dropout, alone or with what stands beside it in a transformer layer.

    ``packed`` chooses between the masks of this module and torch's own; they differ in nothing but the random numbers.
    """

    def __init__(self, p: float):
        super().__init__()
        self.p = p
        self.packed = True

    def _packs(self, x: Tensor) -> bool:
        return self.packed and x.device.type == "cpu" and self.training and self.p > 0

    def forward(self, x: Tensor) -> Tensor:
        """Drop out elements of ``x``."""
        return _Dropout.apply(x, self.p) if self._packs(x) else F.dropout(x, self.p, self.training)

    def relu(self, x: Tensor) -> Tensor:
        """Drop out elements of ReLU(x)."""
        return _ReluDropout.apply(x, self.p) if self._packs(x) else F.dropout(F.relu(x), self.p, self.training)

    def add(self, x: Tensor, y: Tensor) -> Tensor:
        """``x`` plus what is left of ``y``."""
        return _AddDropout.apply(x, y, self.p) if self._packs(y) else x + F.dropout(y, self.p, self.training)
