"""Post-norm transformer layers whose queries may be several passes over the same memory.

All layers also work stacked over parts, see :mod:`semtalk.models.grouped`; tensors then have G parts in front.

Tensors have the names and the meaning of torch's ``TransformerDecoderLayer`` and ``TransformerEncoderLayer``. Unlike
those, a memory of B windows serves P * B queries without being repeated: its keys and values are computed once.
"""

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional as F

from semtalk.models.dropout import Dropout
from semtalk.models.grouped import LayerNorm, Linear, linear


class Attention(nn.Module):
    """Multi-head attention with one stacked projection of queries, keys and values."""

    def __init__(self, width: int, heads: int, dropout: float):
        super().__init__()
        self.heads = heads
        self.dropout = Dropout(dropout)
        self.in_proj_weight = nn.Parameter(torch.empty(3 * width, width))
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * width))
        self.out_proj = Linear(width, width)
        nn.init.xavier_uniform_(self.in_proj_weight)
        nn.init.zeros_(self.out_proj.bias)

    @torch.no_grad()
    def align(self, gain: float = 2.0) -> None:
        """Start with keys that are made like queries, so that rows at the same position attend to each other.

        Both sides must carry the same positions. Training is free to move away from it.
        """
        width = self.in_proj_weight.shape[1]
        self.in_proj_weight[:width] *= gain
        self.in_proj_weight[width : 2 * width] = self.in_proj_weight[:width]

    def forward(self, x: Tensor, memory: Tensor | None = None) -> Tensor:
        """Attend from (P * B, S, W) to a memory (B, T, W), or to itself without one."""
        if memory is None:
            query, key, value = linear(x, self.in_proj_weight, self.in_proj_bias).chunk(3, dim=-1)
            return self.out_proj(self._attend(query, key, value))
        width, passes = x.shape[-1], x.shape[-3] // memory.shape[-3]
        weights = self.in_proj_weight.split([width, 2 * width], dim=-2)
        biases = self.in_proj_bias.split([width, 2 * width], dim=-1)
        query = rearrange(linear(x, weights[0], biases[0]), "... (p b) s w -> ... b (p s) w", p=passes)
        key, value = linear(memory, weights[1], biases[1]).chunk(2, dim=-1)
        answer = rearrange(self._attend(query, key, value), "... b (p s) w -> ... (p b) s w", p=passes)
        return self.out_proj(answer)

    def _attend(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """Attend (..., S, W) to (..., T, W); explicitly where torch's fused kernels do not train faster."""
        leading = query.shape[:-2]
        query, key, value = (
            rearrange(t.flatten(0, -3), "b t (h c) -> b h t c", h=self.heads) for t in (query, key, value)
        )
        if self.training and query.device.type == "cpu":
            weights = torch.matmul(query * query.shape[-1] ** -0.5, key.transpose(-1, -2)).softmax(dim=-1)
            answer = self.dropout(weights) @ value
        else:
            dropout = self.dropout.p if self.training else 0.0
            answer = F.scaled_dot_product_attention(query, key, value, dropout_p=dropout)
        return rearrange(answer, "b h t c -> b t (h c)").unflatten(0, leading)


class TransformerLayer(nn.Module):
    """Self-attention, attention to a memory where ``cross`` is set, feed-forward; each with residual and norm."""

    def __init__(self, width: int, heads: int, feed_forward: int, dropout: float, cross: bool):
        super().__init__()
        self.self_attn = Attention(width, heads, dropout)
        self.multihead_attn = Attention(width, heads, dropout) if cross else None
        self.linear1 = Linear(width, feed_forward)
        self.linear2 = Linear(feed_forward, width)
        self.norm1 = LayerNorm(width)
        self.norm2 = LayerNorm(width)
        self.norm3 = LayerNorm(width) if cross else None
        self.dropout = Dropout(dropout)

    def forward(self, x: Tensor, memory: Tensor | None = None) -> Tensor:
        """Refine (P * B, S, W), with a memory (B, T, W) where the layer has cross-attention."""
        x = self.norm1(self.dropout.add(x, self.self_attn(x)))
        last = self.norm2
        if self.multihead_attn is not None:
            x = self.norm2(self.dropout.add(x, self.multihead_attn(x, memory)))
            last = self.norm3
        return last(self.dropout.add(x, self.linear2(self.dropout.relu(self.linear1(x)))))
