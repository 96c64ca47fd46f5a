"""What votes say: known answers, published agreement, and intervals that cover the truth of simulated raters."""

from itertools import product

import numpy as np
import pytest
import simulated

from semtalk.study import analysis
from semtalk.study.questions import SUFFIX
from semtalk.study.votes import FINISHED, Rater, Vote, counted, excluded

STRENGTHS = {"truth": 0.2, "ours": 0.05, "base": -0.05, "other": -0.2}
SHARES = {"truth": 0.7, "ours": 0.55, "other": 0.5}


def votes_of(answers: dict[str, int], left: str = "a", right: str = "b", question: str = "realism") -> list[Vote]:
    return [
        Vote(f"r{at % 7}", question, f"clip{at}", left, right, answer)
        for at, answer in enumerate(answer for answer, count in answers.items() for _ in range(count))
    ]


def test_ties_alone_give_everybody_1000_and_half():
    tied = {"TheyAreEqual": 30}
    found = analysis.scores(votes_of(tied), ["a", "b"], 200)
    assert all(row == {"elo": 1000, "low": 1000, "high": 1000} for row in found.values())
    same = analysis.matched_scores(votes_of(tied, "a", "a" + SUFFIX, "mismatch"), ["a"], 200)
    assert same == {"a": {"matched": 0.5, "low": 0.5, "high": 0.5}}
    row = analysis.pair_shares(votes_of(tied), "a", "b", 200)
    assert (row["preferred"], row["equal"], row["first"], row["comparisons"]) == (0.5, 1, 0, 30)


def test_76_slight_wins_to_24_are_200_points_and_a_clear_win_is_two_slight_ones():
    slight = analysis.elo(analysis.wins(votes_of({"LeftSlightlyBetter": 76, "RightSlightlyBetter": 24}), "ab"))
    assert slight[0] - slight[1] == pytest.approx(400 * np.log10(76 / 24)) and f"{slight[0] - slight[1]:.1f}" == "200.2"
    assert slight.mean() == pytest.approx(1000)
    mixed = votes_of({"LeftClearlyBetter": 30, "LeftSlightlyBetter": 16, "RightClearlyBetter": 12})
    assert analysis.elo(analysis.wins(mixed, "ab")) == pytest.approx(slight)
    assert analysis.wins(votes_of({"RightClearlyBetter": 1}), "ab").tolist() == [[0, 0], [4, 0]]
    assert analysis.wins(votes_of({"TheyAreEqual": 1}), "ab").tolist() == [[0, 1], [1, 0]]
    share = votes_of({"LeftClearlyBetter": 3, "LeftSlightlyBetter": 1, "TheyAreEqual": 2}, "a", "a" + SUFFIX)
    share += votes_of({"LeftSlightlyBetter": 1}, "a" + SUFFIX, "a")
    assert analysis.matched_scores(share, ["a"], 9)["a"]["matched"] == pytest.approx((6 + 1 + 1) / (6 + 1 + 2 + 1))


def test_scores_are_those_of_the_highest_likelihood():
    rng = np.random.default_rng(0)
    won = rng.integers(1, 30, size=(4, 4)).astype(float) * (1 - np.eye(4))
    best = analysis.bradley_terry(won)

    def likelihood(t):
        with np.errstate(divide="ignore"):
            return -(won * np.log1p(10.0 ** (t[None] - t[:, None]))).sum()

    assert best.sum() == pytest.approx(0)
    for move in (np.array(one) for one in product((-1e-3, 0, 1e-3), repeat=4)):
        assert likelihood(best) >= likelihood(best + move) - 1e-9
    far = np.array([[0, 1e6, 0], [1, 0, 1e6], [0, 1, 0]])
    assert analysis.bradley_terry(far) == pytest.approx([6, 0, -6], abs=1e-6), "Newton's steps do not run away"
    many = np.stack([won, won.T, won * 7])
    assert analysis.bradley_terry(many) == pytest.approx(np.stack([best, analysis.bradley_terry(won.T), best]))


@pytest.mark.parametrize(
    ("won", "says"),
    [
        ([[0, 3, 0], [3, 0, 0], [0, 0, 0]], "a and c were not compared"),
        ([[0, 3, 1], [3, 0, 1], [0, 0, 0]], "c never won or tied against a"),
        ([[0, 3, 0], [0, 0, 2], [0, 1, 0]], "b never won or tied against a"),
        ([[0, 3, 0], [0, 0, 2], [1, 0, 0]], None),
    ],
)
def test_where_the_likelihood_has_no_maximum_there_are_no_scores_and_it_is_said(won, says):
    won = np.array(won, float)
    said = analysis.no_maximum(won, "abc")
    assert (said is None and says is None) or said.startswith(says)
    assert np.isnan(analysis.bradley_terry(won)).all() == (says is not None)


def test_no_interval_is_made_of_the_resamples_that_are_left():
    votes = [Vote(f"r{at}", "realism", "x", "a", "b", "LeftSlightlyBetter") for at in range(9)]
    votes.append(Vote("r9", "realism", "x", "a", "b", "RightSlightlyBetter"))
    found = analysis.scores(votes, ["a", "b"], 500)["a"]
    assert found["elo"] == pytest.approx(1000 + 200 * np.log10(9)) and found["low"] is None
    assert analysis.interval(np.array([1.0] * 99 + [np.nan])) == (1, 1)


def test_one_rater_has_no_interval():
    """All of its resamples are the same: an interval without a width would say that nothing is uncertain."""
    votes = [Vote("r", "realism", "x", *pair, "LeftSlightlyBetter") for pair in (("a", "b"), ("b", "a"), ("a", "b"))]
    assert analysis.scores(votes, ["a", "b"], 100)["a"]["low"] is None
    assert analysis.pair_shares(votes, "a", "b", 100)["high"] is None
    own = [Vote(name, "mismatch", "x", name, name + SUFFIX, "LeftSlightlyBetter") for name in ("a", "b", "b")]
    own[-1] = Vote("another", *list(vars(own[-1]).values())[1:])
    found = analysis.matched_scores(own, ["a", "b"], 2000)
    assert found["a"]["low"] is None and found["a"]["matched"] == 1, "though others were asked of other systems"


def test_resamples_are_of_raters_with_the_seed_of_the_leaderboard():
    drawn = analysis.resampled(5, 300)
    assert drawn.shape == (300, 5) and (drawn.sum(1) == 5).all() and (drawn == analysis.resampled(5, 300)).all()
    assert (analysis.RESAMPLES, analysis.SEED) == (10_000, 42)
    # Ten raters who are of one mind each: resampling votes would give an interval a third as wide.
    minds = ["LeftSlightlyBetter", "RightSlightlyBetter"] * 5
    votes = [Vote(f"r{at}", "mismatch", "x", "a", "a" + SUFFIX, minds[at]) for at in range(10) for _ in range(10)]
    row = analysis.matched_scores(votes, ["a"], 2000)["a"]
    assert row["matched"] == 0.5 and row["high"] - row["low"] >= 0.5


def test_agreement_is_that_of_the_published_example():
    # K. Krippendorff, Computing Krippendorff's Alpha-Reliability (2011), section D: 4 observers, 12 units.
    observers = [
        "1 2 3 3 2 1 4 1 2 . . .", "1 2 3 3 2 2 4 1 2 5 . 3", ". 3 3 3 2 3 4 2 2 5 1 .", "1 2 3 3 2 4 4 1 2 5 1 .",
    ]  # fmt: skip
    units = [[float(one) for one in unit if one != "."] for unit in zip(*map(str.split, observers), strict=True)]
    assert analysis.krippendorff(units) == pytest.approx(0.815, abs=5e-4)
    assert analysis.krippendorff(units, analysis.squares_interval) == pytest.approx(0.849, abs=5e-4)


def test_agreement_does_not_mind_which_side_a_system_was_on():
    answers = {"a": ("LeftClearlyBetter", "RightClearlyBetter"), "b": ("TheyAreEqual", "TheyAreEqual")}
    votes = [Vote("r1", "realism", code, "a", "b", answer) for code, (answer, _) in answers.items()]
    votes += [Vote("r2", "realism", code, "b", "a", answer) for code, (_, answer) in answers.items()]
    assert analysis.agreement(votes) == 1
    assert analysis.agreement(votes[:2]) is None, "nobody answered the same"
    assert analysis.agreement(votes[1:2] * 2) is None, "answers that are all the same say nothing"


def test_who_failed_one_check_or_did_not_finish_does_not_count_and_it_is_said_why():
    raters = [Rater("a", FINISHED, 0, 4), Rater("b", FINISHED, 1, 4), Rater("c", "started"), Rater("d", "failed", 2, 3)]
    left_out = excluded([*raters, Rater("e", "uncomplete")])
    assert left_out == {
        "b": "failed 1 of 4 attention checks", "c": "has not finished", "d": "failed 2 of 3 attention checks",
        "e": "skipped more than 3 pages",
    }  # fmt: skip
    votes = [Vote(name, "realism", "x", "m", "n", "TheyAreEqual") for name in "abcde"]
    assert [vote.rater for vote in counted(votes, left_out)] == ["a"]


def covered(studies: int, resamples: int) -> tuple[float, float]:
    """Share of intervals that hold the truth: of scores, and of matched speech."""
    scored, matched = [], []
    for study in range(studies):
        rng = np.random.default_rng(study)
        rows = analysis.scores(simulated.pairwise(STRENGTHS, rng), list(STRENGTHS), resamples)
        scored += [rows[name]["low"] <= 1000 + 400 * t <= rows[name]["high"] for name, t in STRENGTHS.items()]
        rows = analysis.matched_scores(simulated.matched(SHARES, rng), list(SHARES), resamples)
        matched += [rows[name]["low"] <= share <= rows[name]["high"] for name, share in SHARES.items()]
    return float(np.mean(scored)), float(np.mean(matched))


def test_intervals_hold_the_truth_of_simulated_raters():
    assert min(covered(40, 300)) >= 0.88


@pytest.mark.slow
def test_intervals_hold_the_truth_in_95_of_100_studies():
    scored, matched = covered(200, 2000)
    assert 0.92 <= scored <= 0.975 and 0.92 <= matched <= 0.975
