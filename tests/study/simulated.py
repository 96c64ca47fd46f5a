"""Raters whose preference is known, and the studies that they take part in."""

from itertools import combinations

from semtalk.study.questions import SUFFIX
from semtalk.study.votes import Vote

CLEAR, TIED = 0.4, 0.2
"""Share of wins that are clear, and of ties, on average."""


def chance(strength: float) -> float:
    """That the better of two wins, by the difference of their t."""
    return 1 / (1 + 10**-strength)


def answer(share: float, clear: float, tied: float, rng) -> str:
    """An answer whose weighted wins are to the left by ``share`` on average, whatever clear and tied are."""
    weight = (1 - tied) * (2 + 2 * clear)
    left = (share * (weight + 2 * tied) - tied) / weight
    assert 0 <= left <= 1
    if rng.random() < tied:
        return "TheyAreEqual"
    side = "Left" if rng.random() < left else "Right"
    return f"{side}{'Clearly' if rng.random() < clear else 'Slightly'}Better"


def raters(count: int, rng):
    """For each rater: name, share of clear wins and of ties; they differ."""
    for at in range(count):
        yield f"rater{at}", CLEAR * rng.uniform(0.5, 1.5), TIED * rng.uniform(0.5, 1.5)


def pairwise(strengths: dict[str, float], rng, count: int = 40, pages: int = 25, taste: float = 0.06) -> list[Vote]:
    """Votes on realism of raters who agree on average: the weighted share of wins is that of ``strengths``.

    Each has a taste: a system that they prefer more than others do, and one that they prefer less.
    """
    votes, pairs = [], list(combinations(strengths, 2))
    for name, clear, tied in raters(count, rng):
        more = dict(zip(strengths, rng.permutation([taste, -taste, *([0.0] * (len(strengths) - 2))]), strict=True))
        for page in range(pages):
            a, b = pairs[page % len(pairs)]
            if rng.random() < 0.5:
                a, b = b, a
            share = chance(strengths[a] - strengths[b]) + more[a] - more[b]
            votes.append(Vote(name, "realism", f"clip{page}", a, b, answer(share, clear, tied, rng)))
    return votes


def matched(shares: dict[str, float], rng, count: int = 40, pages: int = 25) -> list[Vote]:
    """Votes on matched and mismatched speech: with weights 2, 1 and ties 1/2 a system's own wins by its share."""
    votes, systems = [], list(shares)
    for name, clear, tied in raters(count, rng):
        for page in range(pages):
            system, own_left = systems[page % len(systems)], rng.random() < 0.5
            sides = (system, system + SUFFIX) if own_left else (system + SUFFIX, system)
            share = shares[system] if own_left else 1 - shares[system]
            votes.append(Vote(name, "mismatch", f"clip{page}", *sides, answer(share, clear, tied, rng)))
    return votes
