"""Networks of equal shape, one for each body part, run at once: fewer and larger matrix products.

:class:`ByPart` stacks the parameters of such networks; the layers here take plain parameters and stacked ones.
Inputs of stacked layers have the parts as their first dimension.

``torch.func.stack_module_state`` with ``vmap`` over plain layers gives the same values at the same speed. Under it,
though, packed dropout (which writes into its own buffer), running an attention layer again going back
(``speed.recompute``) and checkpoints that hold each part by its name would each need a way of their own.
"""

from collections.abc import Mapping

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F

from semtalk.models.packed import packing


class _Stacked(torch.autograd.Function):
    """``x W^T + b`` whose gradient lies in memory as the weights do; torch's own is turned, and copied to be so."""

    @staticmethod
    def forward(ctx, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        ctx.save_for_backward(x, weight)
        return torch.baddbmm(bias[:, None], x, weight.transpose(1, 2))

    @staticmethod
    def backward(ctx, gradient: Tensor):
        x, weight = ctx.saved_tensors
        return gradient @ weight, gradient.transpose(1, 2) @ x, gradient.sum(dim=1)


def linear(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """``x W^T + b`` of (..., C_in) with a weight (C_out, C_in), or of (G, ..., C_in) with weights (G, C_out, C_in)."""
    packed = packing(x, weight)
    if weight.dim() == 2:
        return packed.linear(x, weight, bias) if packed else F.linear(x, weight, bias)
    rows = x.flatten(1, -2)
    if packed and x.dtype == torch.float32:  # in bf16 torch's own stacked product is the faster one
        product = torch.stack([packed.linear(*each) for each in zip(rows, weight, bias, strict=True)])
    elif x.device.type == "cpu" and torch.is_grad_enabled():
        if torch.is_autocast_enabled("cpu"):
            rows, weight, bias = (value.to(torch.get_autocast_dtype("cpu")) for value in (rows, weight, bias))
        product = _Stacked.apply(rows, weight, bias)
    else:
        product = torch.baddbmm(bias[:, None], rows, weight.transpose(1, 2))
    return product.unflatten(1, x.shape[1:-1])


class Linear(nn.Linear):
    """A linear layer, or G of them."""

    def forward(self, x: Tensor) -> Tensor:
        """Project (..., C_in), or (G, ..., C_in) where the weights are stacked."""
        return linear(x, self.weight, self.bias)


class LayerNorm(nn.LayerNorm):
    """A layer norm over the last dimension, or G of them."""

    def forward(self, x: Tensor) -> Tensor:
        """Normalise (..., C), or (G, ..., C) where the weights are stacked."""
        if self.weight.dim() == 1:
            return super().forward(x)
        shape = (len(self.weight), *[1] * (x.dim() - 2), x.shape[-1])
        normed = F.layer_norm(x, self.normalized_shape, eps=self.eps)
        return torch.addcmul(self.bias.view(shape), normed, self.weight.view(shape))


class HalveTime(nn.Conv1d):
    """Convolution of kernel and stride 2: (..., T, C_in) to (..., T/2, C), or G of them."""

    def __init__(self, width_in: int, width: int):
        super().__init__(width_in, width, 2, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        """Halve the time of (..., T, C_in), or of (G, ..., T, C_in) where the weights are stacked."""
        pairs = rearrange(x, "... (t two) c -> ... t (c two)", two=2)
        return linear(pairs, self.weight.flatten(-2), self.bias)


class ByPart(nn.Module):
    """Equal networks of several parts as one network with stacked parameters.

    The state dict holds every part's tensors under the part's name, as if the networks stood in a ``ModuleDict``.
    ``grouped = False`` runs the parts one after another, with equal results.
    """

    def __init__(self, networks: Mapping[str, nn.Module]):
        """Stack the parameters of networks of one structure, made of layers that can be stacked."""
        super().__init__()
        self.grouped = True
        self.parts = tuple(networks)
        first, *others = networks.values()
        for path, module in first.named_modules():
            twins = [module, *(other.get_submodule(path) for other in others)]
            for name in list(module._parameters):
                stacked = torch.stack([getattr(twin, name).detach() for twin in twins])
                setattr(module, name, nn.Parameter(stacked))
        self.network = first
        self.register_state_dict_post_hook(_name_parts)
        self.register_load_state_dict_pre_hook(_stack_parts)

    def forward(self, *inputs: Tensor):
        """Run all parts at once; inputs and outputs have the parts, in their order, as first dimension."""
        if self.grouped:
            return self.network(*inputs)
        parameters = dict(self.network.named_parameters())
        outputs = [
            functional_call(self.network, {name: value[index] for name, value in parameters.items()}, each)
            for index, each in enumerate(zip(*inputs, strict=True))
        ]
        if isinstance(outputs[0], tuple):
            return tuple(torch.stack(each) for each in zip(*outputs, strict=True))
        return torch.stack(outputs)

    def stack(self, values: Mapping[str, Tensor]) -> Tensor:
        """Values of the parts as one tensor (G, ...)."""
        return torch.stack([values[part] for part in self.parts])

    def unstack(self, values: Tensor) -> dict[str, Tensor]:
        """Part -> its value, of a tensor (G, ...)."""
        return dict(zip(self.parts, values.unbind(0), strict=True))


def _name_parts(module: ByPart, state: dict, prefix: str, _metadata) -> None:
    own = [name for name in state if name.startswith(f"{prefix}network.")]
    for name in own:
        rest = name.removeprefix(f"{prefix}network.")
        state.update({f"{prefix}{part}.{rest}": value for part, value in module.unstack(state.pop(name)).items()})


def _stack_parts(module: ByPart, state: dict, prefix: str, *_unused) -> None:
    for name in module.network.state_dict():
        names = [f"{prefix}{part}.{name}" for part in module.parts]
        if all(own in state for own in names):
            state[f"{prefix}network.{name}"] = torch.stack([state.pop(own) for own in names])
