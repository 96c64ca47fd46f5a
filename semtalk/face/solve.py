"""Least squares whose unknowns stay between 0 and 1, of many frames at once."""

import numpy as np

STEPS = 500
"""Of the accelerated projected gradient; 50 plain steps leave four times the error."""
FRAMES = 4096
"""Solved at a time, for the memory of long takes."""


def bounded_least_squares(square: np.ndarray, products: np.ndarray) -> np.ndarray:
    """For each frame the w, 0 <= w <= 1, that makes ``w H w' - 2 g w'`` smallest.

    Args:
        square: H (N, N), symmetric and positive: of ``|D w' - y|^2 + w R w'`` it is D'D + R.
        products: g (T, N): y D.

    Returns:
        (T, N) weights.
    """
    step = 1 / np.linalg.eigvalsh(square)[-1]
    return np.concatenate(
        [_solve(square, products[first : first + FRAMES], step) for first in range(0, max(1, len(products)), FRAMES)]
    )


def _solve(square: np.ndarray, products: np.ndarray, step: float) -> np.ndarray:
    found = ahead = np.zeros_like(products)
    pace = 1.0
    for _ in range(STEPS):
        new = np.clip(ahead - step * (ahead @ square - products), 0, 1)
        faster = (1 + np.sqrt(1 + 4 * pace**2)) / 2
        found, ahead, pace = new, new + (pace - 1) / faster * (new - found), faster
    return found
