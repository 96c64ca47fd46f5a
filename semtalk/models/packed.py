"""Matrix products of generation on a CPU, with weights that are packed once instead of in every product.

A window of one take has 64 rows, so that each of its products brings in more weights than anything else. oneDNN takes
weights in the order in which its kernels read them. The products are those of ``F.linear`` but for the order of their
sums.
"""

import platform
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from weakref import WeakValueDictionary

import torch
from torch import Tensor, nn

WORTH = 1 << 16
"""Elements of a weight from which on its product gains: oneDNN takes some 10 us to begin, and some 80 to pack."""
PLAIN = ("none", [], "")
"""Nothing behind a product: no activation, no numbers of one, no algorithm of one."""


class PackedWeights:
    """Packed weights of a network: each is packed when it is first met, and kept while somebody holds this object.

    A weight that torch knows to have changed is packed anew; one may not be changed through ``data`` as long.
    """

    def __init__(self, network: nn.Module):
        """Begin without any; see :meth:`of`."""
        self.network = network
        self.kept: dict[tuple, tuple[Tensor, int | None, Tensor]] = {}

    def __reduce__(self):
        """Copies, and what is unpickled, pack anew: packed weights can be neither copied nor written."""
        return PackedWeights.of, (self.network,)

    @classmethod
    def of(cls, network: nn.Module) -> "PackedWeights":
        """Those of a network: the same for all who hold them, and packed anew when nobody did."""
        return _HELD.get(id(network)) or _HELD.setdefault(id(network), cls(network))

    @contextmanager
    def used(self) -> Iterator[None]:
        """Let products without gradient take them, in this thread."""
        token = _USED.set(self)
        try:
            yield
        finally:
            _USED.reset(token)

    def linear(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """``x W^T + b`` of (..., C_in) with a weight (C_out, C_in)."""
        packed = self._packed(weight, torch.ops.mkldnn._reorder_linear_weight)
        return torch.ops.mkldnn._linear_pointwise(x, packed, bias, *PLAIN)

    def conv(self, x: Tensor, layer: nn.Conv1d) -> Tensor:
        """What a convolution of one group makes of (B, C_in, T)."""
        image, how = x[:, :, None], ([0, *layer.padding], [1, *layer.stride], [1, *layer.dilation], 1)
        packed = self._packed(
            layer.weight[:, :, None],
            lambda weight: torch.ops.mkldnn._reorder_convolution_weight(weight, *how, list(image.shape)),
        )
        return torch.ops.mkldnn._convolution_pointwise(image, packed, layer.bias, *how, *PLAIN)[:, :, 0]

    def _packed(self, weight: Tensor, pack: Callable[[Tensor], Tensor]) -> Tensor:
        key = (weight.data_ptr(), weight.shape, weight.stride(), weight.dtype)
        version = None if weight.is_inference() else weight._version
        if key not in self.kept or self.kept[key][1] != version:
            kept = weight, version, pack(weight.detach().contiguous())  # the weight, so that no other has its address
            self.kept[key] = kept
        return self.kept[key][2]


_HELD: WeakValueDictionary[int, PackedWeights] = WeakValueDictionary()
_USED: ContextVar[PackedWeights | None] = ContextVar("packed weights", default=None)


@cache
def can_pack(kind: torch.dtype) -> bool:
    """Whether this machine and this torch have products with packed weights of a kind."""
    if platform.machine() not in ("x86_64", "AMD64") or not torch.backends.mkldnn.is_available():
        return False
    return kind == torch.float32 or (kind == torch.bfloat16 and torch.ops.mkldnn._is_mkldnn_bf16_supported())


def packing(x: Tensor, weight: Tensor) -> PackedWeights | None:
    """What packs the weight (..., C_out, C_in) of a product, where it is to be packed."""
    if torch.compiler.is_compiling() or torch.is_grad_enabled() or (used := _USED.get()) is None:
        return None
    if x.device.type != "cpu" or x.dtype != weight.dtype or torch.is_autocast_enabled("cpu"):
        return None
    return used if weight.shape[-2] * weight.shape[-1] >= WORTH and can_pack(x.dtype) else None


class Conv1d(nn.Conv1d):
    """A convolution whose weights can be packed."""

    def forward(self, x: Tensor) -> Tensor:
        """Convolve (B, C_in, T)."""
        plain = self.groups > 1 or self.padding_mode != "zeros" or isinstance(self.padding, str) or x.dim() != 3
        packed = None if plain else packing(x, self.weight.flatten(1))
        return packed.conv(x, self) if packed else super().forward(x)
