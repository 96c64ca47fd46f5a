"""Residual vector quantisation with moving-average codebooks (paper section 3.1, DESIGN of RVQ-VAE in docs).

All state, the "initialised" flag included, is in buffers: a reloaded quantizer goes on exactly where it stopped.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from semtalk.motion.precision import without_autocast
from semtalk.processes import sum_over_processes, windows_of_all


class Codebook(nn.Module):
    """One level: K codes of D dimensions, learned as exponential moving averages of what they stand for.

    The first training batch initialises the codes; a code whose moving count falls below ``dead_below`` restarts at a
    vector of the batch. Statistics are summed over processes.
    """

    def __init__(self, codes: int, dim: int, decay: float, dead_below: float):
        super().__init__()
        self.decay = decay
        self.dead_below = dead_below
        self.held: tuple[Tensor, Tensor, Tensor] | None = None
        self.register_buffer("codebook", torch.zeros(codes, dim))
        self.register_buffer("sums", torch.zeros(codes, dim))
        self.register_buffer("counts", torch.zeros(codes))
        self.register_buffer("initialised", torch.zeros((), dtype=torch.bool))

    def nearest(self, x: Tensor) -> Tensor:
        """Indices (N,) of the codes nearest to (N, D) in squared Euclidean distance."""
        distance = self.codebook.square().sum(dim=-1) - 2 * x @ self.codebook.T
        return distance.argmin(dim=-1)

    def lookup(self, indices: Tensor) -> Tensor:
        """Codes (..., D) of indices (...)."""
        return F.embedding(indices, self.codebook)

    @torch.no_grad()
    def initialise(self, rows: Tensor) -> None:
        """Take the codes from rows (N, D) of the first batch, repeated where there are too few; then do nothing.

        Whether it was done is not asked for: a GPU would have to be waited for in every step.
        """
        codes = len(self.codebook)
        chosen = torch.arange(codes, device=rows.device) * max(len(rows), 1) // codes
        self.codebook.copy_(torch.where(self.initialised, self.codebook, rows[chosen]))
        self.sums.copy_(torch.where(self.initialised, self.sums, self.codebook))
        self.counts.copy_(torch.where(self.initialised, self.counts, torch.ones_like(self.counts)))
        self.initialised.fill_(True)

    @torch.no_grad()
    def update(self, x: Tensor, indices: Tensor, rows: Tensor | None = None, hold: bool = False) -> None:
        """Move the averages.

        Args:
            x: Rows (N, D) of this process.
            indices: (N,) the codes that they were given.
            rows: (M, D) of all processes, at which dead codes restart; ``x`` where there is one process.
            hold: Move them with the next batch, of the same optimiser step.
        """
        chosen = F.one_hot(indices, len(self.codebook)).to(x.dtype)
        count, total, rows = chosen.sum(dim=0), chosen.T @ x, x if rows is None else rows
        sum_over_processes(count, total)
        if self.held is not None:
            count, total, rows = count + self.held[0], total + self.held[1], torch.cat([self.held[2], rows])
        self.held = (count, total, rows) if hold else None
        if hold:
            return
        self.counts.lerp_(count, 1 - self.decay)
        self.sums.lerp_(total, 1 - self.decay)
        dead = self.counts < self.dead_below
        fresh = rows[torch.arange(len(self.codebook), device=x.device) * 7919 % len(rows)]
        self.sums.copy_(torch.where(dead[:, None], fresh, self.sums))
        self.counts.copy_(torch.where(dead, torch.ones_like(self.counts), self.counts))
        self.codebook.copy_(self.sums / self.counts[:, None])


class ResidualQuantizer(nn.Module):
    """Levels of codebooks, each for the residual that the levels before it leave."""

    def __init__(
        self, levels: int, codes: int, dim: int, decay: float = 0.99, dead_below: float = 0.05, dropout: float = 0.2
    ):
        """Build the levels.

        Args:
            levels: Number of levels, 6 in the paper.
            codes: Codes of each level, 256 in the paper.
            dim: Width D of a code.
            decay: Of the moving averages.
            dead_below: Moving count below which a code restarts.
            dropout: Probability that a training batch leaves out a random number of the last levels.
        """
        super().__init__()
        self.levels = nn.ModuleList(Codebook(codes, dim, decay, dead_below) for _ in range(levels))
        self.dropout = dropout
        self.hold = False
        """Whether codebooks move with a later batch, the last of an optimiser step."""

    def draw_levels(self, generator: torch.Generator | None = None) -> int:
        """How many levels a training batch uses: all, or with the probability of the dropout fewer.

        Args:
            generator: Of the random numbers; torch's own by default. Processes that train together use levels in
                common, so each draws from one of the same seed.
        """
        levels = len(self.levels)
        if levels > 1 and torch.rand((), generator=generator) < self.dropout:
            return int(torch.randint(1, levels, (), generator=generator))
        return levels

    def forward(self, x: Tensor, levels: int | None = None) -> tuple[Tensor, Tensor, Tensor]:
        """Quantise latents.

        Args:
            x: (B, S, D) encoder output.
            levels: How many are used; by default all, and in training as many as :meth:`draw_levels` says.

        Returns:
            (B, S, D) the sum of the codes with a straight-through gradient (of one times the latent's), (B, S, L)
            indices (-1 for levels that quantizer dropout left out), and the commitment loss, a scalar.
        """
        with without_autocast(x):
            if levels is None:
                levels = self.draw_levels() if self.training else len(self.levels)
            return self._quantise(x.to(self.levels[0].codebook.dtype), levels)

    def _quantise(self, x: Tensor, used: int) -> tuple[Tensor, Tensor, Tensor]:
        """Quantise in the codebooks' precision, never in half: moving averages of that would stand still."""
        residual, commitment, indices = x, x.new_zeros(()), []
        total = torch.zeros_like(x)
        for level in self.levels[:used]:
            rows = residual.detach().flatten(0, -2)
            if self.training:
                everyone = windows_of_all(residual.detach()).flatten(0, -2)
                level.initialise(everyone)
            index = level.nearest(rows)
            code = level.lookup(index).view_as(x)
            if self.training:
                level.update(rows, index, everyone, self.hold)
            commitment = commitment + F.mse_loss(residual, code)
            residual = residual - code
            total = total + code
            indices.append(index.view(x.shape[:-1]))
        indices += [torch.full_like(indices[0], -1)] * (len(self.levels) - used)
        return x + (total - x).detach(), torch.stack(indices, dim=-1), commitment / used

    def decode(self, indices: Tensor) -> Tensor:
        """Code vectors (B, S, L, D) of indices (B, S, L); L may be less than the number of levels."""
        vectors = [level.lookup(index) for level, index in zip(self.levels, indices.unbind(-1), strict=False)]
        return torch.stack(vectors, dim=-2)
