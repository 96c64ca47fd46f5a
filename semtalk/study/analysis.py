"""What votes say: Bradley-Terry scores, shares, the score of matched speech, agreement, intervals over raters; numpy.

Weights, scale and intervals are those of the GENEA leaderboard: a clear win counts 4, a slight one 2, a tie 1 to each
side; Elo is 1000 + 400 t, where a wins over b with 1 / (1 + 10^(t_b - t_a)) and t is 0 on average.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence

import numpy as np

from semtalk.study.votes import Vote

RESAMPLES, SEED = 10_000, 42
"""Of the bootstrap over raters."""
LOST = 0.05
"""Share of resamples without a maximum above which no interval is given."""
STEPS = 60
CENTRE, SCALE = 1000.0, 400.0


def by_rater(votes: Sequence[Vote]) -> list[list[Vote]]:
    """Votes of each rater, by their names, so that resamples do not hang on the order of a file."""
    found = defaultdict(list)
    for vote in votes:
        found[vote.rater].append(vote)
    return [found[name] for name in sorted(found)]


def resampled(count: int, resamples: int = RESAMPLES, seed: int = SEED) -> np.ndarray:
    """(B, R) how often each of R raters is drawn in each of B resamples with replacement."""
    return np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), size=resamples)


def interval(values: np.ndarray) -> tuple[float, float] | None:
    """Percentiles 2.5 and 97.5 of what resamples (B,) gave; none where too many gave nothing."""
    there = values[~np.isnan(values)]
    if len(there) < (1 - LOST) * len(values) or not len(there):
        return None
    low, high = np.percentile(there, (2.5, 97.5))
    return float(low), float(high)


def wins(votes: Sequence[Vote], systems: Sequence[str]) -> np.ndarray:
    """(K, K) weighted wins of each system (row) over each other (column)."""
    place = {name: at for at, name in enumerate(systems)}
    found = np.zeros((len(systems), len(systems)))
    for vote in votes:
        left, right, value = place[vote.left], place[vote.right], vote.value
        if value > 0:
            found[left, right] += 2 * value
        elif value < 0:
            found[right, left] += -2 * value
        else:
            found[left, right] += 1
            found[right, left] += 1
    return found


def reaches(won: np.ndarray) -> np.ndarray:
    """(..., K, K) whether each system won over each other, or over one that did, and so on."""
    linked = (won > 0) | np.eye(won.shape[-1], dtype=bool)
    for _ in range(max(1, (won.shape[-1] - 1).bit_length())):
        linked = (linked.astype(float) @ linked.astype(float)) > 0
    return linked


def bradley_terry(won: np.ndarray) -> np.ndarray:
    """(..., K) the most likely t, 0 on average, of weighted wins (..., K, K); nan where the likelihood has no maximum.

    It has one where every system won over every other, or over one that did, and so on.
    """
    count = won.shape[-1]
    met = won + np.swapaxes(won, -1, -2)
    total = np.maximum(met.sum((-1, -2), keepdims=True), 1e-300)
    share, met = won / total, met / total
    logits = np.zeros(won.shape[:-1])
    known = reaches(won).all((-1, -2))
    share, met, at = share[known], met[known], logits[known]
    for _ in range(STEPS):
        chance = 1 / (1 + np.exp(at[..., None, :] - at[..., :, None]))
        slope = (share - met * chance).sum(-1)
        curve = met * chance * (1 - chance)
        bend = np.eye(count) * curve.sum(-1)[..., None] - curve
        move = np.linalg.solve(bend + curve.sum((-1, -2), keepdims=True) / count**2, slope[..., None])[..., 0]
        largest = np.abs(move).max(-1, keepdims=True) if move.size else np.ones(1)
        at = at + move / np.maximum(1.0, largest)  # Newton's steps, none longer than 1
        if not move.size or np.abs(move).max() < 1e-10:
            break
    logits[known], logits[~known] = at, np.nan
    return logits / np.log(10.0)


def elo(won: np.ndarray) -> np.ndarray:
    """(..., K) scores of weighted wins (..., K, K)."""
    return CENTRE + SCALE * bradley_terry(won)


def no_maximum(won: np.ndarray, systems: Sequence[str]) -> str | None:
    """Why there are no scores, in a sentence; none where there are."""
    linked = reaches(won)
    if linked.all():
        return None
    first, second = next((a, b) for a, b in np.ndindex(linked.shape) if not linked[a, b])
    if not linked[second, first]:
        return f"{systems[first]} and {systems[second]} were not compared, nor with systems that link them."
    return f"{systems[first]} never won or tied against {systems[second]}, nor against a system that did."


def scores(votes: Sequence[Vote], systems: Sequence[str], resamples: int = RESAMPLES) -> dict[str, dict]:
    """System -> its Elo (none where the likelihood has no maximum), low and high of the interval over raters."""
    each = np.stack([wins(own, systems) for own in by_rater(votes)])
    found = elo(each.sum(0))
    drawn = elo(np.tensordot(resampled(len(each), resamples), each, 1))
    return {name: _row("elo", found[at], drawn[:, at], len(each)) for at, name in enumerate(systems)}


def _row(name: str, value: float, drawn: np.ndarray, raters: int) -> dict[str, float | None]:
    """A value and its interval; none of one rater, whose resamples are all the same."""
    low, high = (None if np.isnan(value) or raters < 2 else interval(drawn)) or (None, None)
    return {name: None if np.isnan(value) else float(value), "low": low, "high": high}


def matched_scores(votes: Sequence[Vote], systems: Sequence[str], resamples: int = RESAMPLES) -> dict[str, dict]:
    """System -> how far its own speech is preferred to another segment's: 0.5 is chance; and the interval.

    (2 clear + slight + ties / 2) / (2 clear + slight + ties), on top what its own speech won.
    """
    each = np.zeros((len(raters := by_rater(votes)), len(systems), 2))
    for at, own in enumerate(raters):
        for vote in own:
            place, value = systems.index(vote.matched), vote.toward(vote.matched)
            each[at, place] += (max(0, value) + 0.5 * (value == 0), abs(value) + (value == 0))
    found, drawn = each.sum(0), np.tensordot(resampled(len(each), resamples), each, 1)
    asked = (each[..., 1] > 0).sum(0)
    with np.errstate(invalid="ignore"):
        return {
            name: _row("matched", found[at, 0] / found[at, 1], drawn[:, at, 0] / drawn[:, at, 1], asked[at])
            for at, name in enumerate(systems)
        }


def pair_shares(votes: Sequence[Vote], first: str, second: str, resamples: int = RESAMPLES) -> dict[str, float]:
    """Of two systems: comparisons, the share in which each was preferred, ties, and the interval of ``preferred``.

    ``preferred`` is the share of the first with half of the ties.
    """
    raters = by_rater([vote for vote in votes if {vote.left, vote.right} == {first, second}])
    each = np.zeros((len(raters), 3))
    for at, own in enumerate(raters):
        for vote in own:
            each[at, 1 - int(np.sign(vote.toward(first)))] += 1
    count, total = each.sum(), each.sum(0)
    drawn = np.tensordot(resampled(len(each), resamples), each, 1)
    share = (drawn[:, 0] + drawn[:, 1] / 2) / drawn.sum(1)
    row = _row("preferred", (total[0] + total[1] / 2) / count, share, len(raters))
    shares = dict(zip(("first", "equal", "second"), (total / count).tolist(), strict=True))
    return {"comparisons": int(count), **shares, **row}


def squares_ordinal(counts: np.ndarray) -> np.ndarray:
    """(V, V) squared difference of two of V ordered answers that were given (V,) times: of ranks between them."""
    ends, half = np.cumsum(counts), counts / 2
    middle = ends - half
    return (middle[:, None] - middle[None]) ** 2


def squares_interval(values: np.ndarray) -> np.ndarray:
    """(V, V) squared difference of answers (V,) as numbers."""
    return (values[:, None] - values[None]) ** 2


def krippendorff(units: Sequence[Sequence[float]], squares: Callable | None = None) -> float | None:
    """Krippendorff's alpha of the answers to each unit: 1 is full agreement, 0 that of chance.

    Args:
        units: Answers of whoever answered; those with one answer tell nothing.
        squares: Answers (V,) -> squared differences (V, V); none for those of ordered answers.

    Returns:
        None where no unit was answered twice, or all answers are the same.
    """
    units = [unit for unit in units if len(unit) > 1]
    values = np.unique([value for unit in units for value in unit])
    together = np.zeros((len(values), len(values)))
    for unit in units:
        counts = np.array([sum(value == one for one in unit) for value in values], float)
        together += (np.outer(counts, counts) - np.diag(counts)) / (len(unit) - 1)
    counts = together.sum(0)
    distance = squares_ordinal(counts) if squares is None else squares(values)
    expected = (np.outer(counts, counts) * distance).sum()
    if not expected:
        return None
    return float(1 - (counts.sum() - 1) * (together * distance).sum() / expected)


def agreement(votes: Sequence[Vote]) -> float | None:
    """Krippendorff's alpha of raters who saw the same two videos of a question, whichever was on the left."""
    units = defaultdict(list)
    for vote in votes:
        first, second = sorted((vote.left, vote.right))
        units[vote.question, vote.code, first, second].append(vote.toward(first))
    return krippendorff(list(units.values()))
