"""What of the speech is in the motion: jaw, expressions, rotation errors, and how lively a motion is, in pure numpy.

A signal is a sequence of takes, each (T,) or (T, C). Correlations and deviations are of all takes' frames together,
each take centred first, ``x - mean of x over the take``; errors weigh every frame the same.
"""

from collections.abc import Sequence

import numpy as np

from semtalk.motion.skeleton import FPS

LAG_REACH = 15
"""Frames by which a signal is searched for before and after the truth."""
TINY = 1e-9
"""A signal whose root of summed squares is below it is constant but for rounding."""
MOST_VARYING = 10
"""Expression coefficients whose correlation and amplitude are reported."""


def centred(takes: Sequence[np.ndarray]) -> np.ndarray:
    """All takes (T, ...) in one array (sum of T, ...), the mean of each taken away."""
    return np.concatenate([take - take.mean(axis=0) for take in (np.asarray(take, np.float64) for take in takes)])


def correlation(own: Sequence[np.ndarray], true: Sequence[np.ndarray]) -> np.ndarray:
    """Pearson correlation ``sum(a b) / sqrt(sum(a^2) sum(b^2))`` over frames: a scalar array, or (C,).

    Not a number where one of the two is constant.
    """
    return _cosine(centred(own), centred(true))


def amplitude_ratio(own: Sequence[np.ndarray], true: Sequence[np.ndarray]) -> np.ndarray:
    """Deviation over the truth's, ``sqrt(sum(a^2) / sum(b^2))``: a scalar array, or (C,).

    1 is as lively as the truth; not a number where the truth is constant.
    """
    a, b = (np.linalg.norm(centred(takes), axis=0) for takes in (own, true))
    return a / np.where(b > TINY, b, np.nan)


def best_lag(own: Sequence[np.ndarray], true: Sequence[np.ndarray], reach: int = LAG_REACH) -> float:
    """Frames by which a signal comes after the truth: ``argmax over k of corr(own[t + k], true[t])``, |k| <= reach.

    Args:
        own: Takes (T,); what a lag moves beyond a take's ends does not count.
        true: The same of the truth.
        reach: Frames.

    Returns:
        Positive when late, negative when early; of equal correlations the smallest lag; NaN for a constant signal.
    """
    a, b = ([take - take.mean() for take in (np.asarray(t, np.float64) for t in takes)] for takes in (own, true))
    lags = sorted(range(-reach, reach + 1), key=abs)
    scores = []
    for lag in lags:
        late, early = max(lag, 0), max(-lag, 0)
        shifted = np.concatenate([take[late : max(len(take) - early, 0)] for take in a])
        fixed = np.concatenate([take[early : max(len(take) - late, 0)] for take in b])
        scores.append(float(_cosine(shifted, fixed)))
    return float("nan") if np.isnan(scores).all() else float(lags[int(np.nanargmax(np.round(scores, 12)))])


def squared_error(own: Sequence[np.ndarray], true: Sequence[np.ndarray]) -> float:
    """Mean of (a - b)^2 over frames and channels, in the signal's unit squared."""
    return float(np.square(np.concatenate(own).astype(np.float64) - np.concatenate(true)).mean())


def most_varying(true: Sequence[np.ndarray], count: int = MOST_VARYING) -> np.ndarray:
    """Indices (count,) of the channels of takes (T, C) that deviate most from their mean, the most varying first."""
    return np.argsort(-np.square(centred(true)).sum(axis=0), kind="stable")[:count]


def jaw_opening(jaw: np.ndarray) -> np.ndarray:
    """Opening (T,) in degrees of the jaw's axis-angle (T, 3) in radians: its x component, about which a jaw opens."""
    return np.rad2deg(np.asarray(jaw, np.float64)[:, 0])


def geodesic_degrees(own: np.ndarray, true: np.ndarray) -> np.ndarray:
    """Angle in degrees (...) between rotation matrices (..., 3, 3): ``2 asin(|A - B|_F / (2 sqrt 2))``."""
    chord = np.linalg.norm(np.asarray(own, np.float64) - np.asarray(true, np.float64), axis=(-1, -2))
    return np.rad2deg(2 * np.arcsin(np.clip(chord / np.sqrt(8), 0, 1)))


class Mean:
    """A mean of arrays that come one by one."""

    def __init__(self):
        self.total, self.count = 0.0, 0

    def add(self, values: np.ndarray) -> None:
        """Take more numbers into it."""
        self.total, self.count = self.total + float(values.sum()), self.count + values.size

    @property
    def value(self) -> float:
        """The mean so far, not a number without any."""
        return self.total / self.count if self.count else float("nan")


class Likeness:
    """How two signals of takes (T, C) go together, channel by channel, of takes that come one by one."""

    def __init__(self):
        self.both, self.own, self.true = 0.0, 0.0, 0.0
        self.error = Mean()

    def add(self, own: np.ndarray, true: np.ndarray) -> None:
        """Take a take (T, C) into it."""
        self.error.add(np.square(own.astype(np.float64) - true))
        a, b = centred([own]), centred([true])
        self.both = self.both + (a * b).sum(axis=0)
        self.own, self.true = self.own + np.square(a).sum(axis=0), self.true + np.square(b).sum(axis=0)

    def most_varying(self, count: int = MOST_VARYING) -> np.ndarray:
        """Indices (count,) of the channels of the truth that deviate most from their mean, the most varying first."""
        return np.argsort(-self.true, kind="stable")[:count]

    def correlation(self) -> np.ndarray:
        """See :func:`correlation`: (C,)."""
        return _quotient(self.both, np.sqrt(self.own), np.sqrt(self.true))

    def amplitude_ratio(self) -> np.ndarray:
        """See :func:`amplitude_ratio`: (C,)."""
        a, b = np.sqrt(self.own), np.sqrt(self.true)
        return a / np.where(b > TINY, b, np.nan)


def mean_speed(takes: Sequence[np.ndarray], fps: int = FPS) -> float:
    """Mean of ``|p_(t+1) - p_t| fps`` over frames and joints, in m/s, of takes (T, J, 3) in metres."""
    return _mean_change(takes, 1) * fps


def mean_acceleration(takes: Sequence[np.ndarray], fps: int = FPS) -> float:
    """Mean of ``|p_(t+1) - 2 p_t + p_(t-1)| fps^2`` over frames and joints, in m/s^2, of takes (T, J, 3) in metres."""
    return _mean_change(takes, 2) * fps**2


def _mean_change(takes: Sequence[np.ndarray], order: int) -> float:
    return float(np.concatenate([changes(take, order) for take in takes]).mean())


def changes(take: np.ndarray, order: int) -> np.ndarray:
    """Length (T - order, J) of the changes of places (T, J, 3) from frame to frame, or for 2 of their changes."""
    return np.linalg.norm(np.diff(np.asarray(take, np.float64), n=order, axis=0), axis=-1)


def _cosine(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Cosine of the angle between columns; NaN where one of them is zero but for rounding."""
    return _quotient((a * b).sum(axis=0), *(np.linalg.norm(x, axis=0) for x in (a, b)))


def _quotient(both: np.ndarray, own: np.ndarray, true: np.ndarray) -> np.ndarray:
    return both / np.where(np.minimum(own, true) > TINY, own * true, np.nan)
