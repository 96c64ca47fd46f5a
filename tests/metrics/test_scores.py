"""What a scorer's numbers are worth, by hand."""

import numpy as np
import pytest
import torch

from semtalk.metrics.alignment import own_wins, recall_at, resampled_means, same_speaker

ALL = torch.ones(3, 3, dtype=torch.bool)


def test_a_motion_wins_by_each_other_sound_that_fits_it_less():
    scores = torch.tensor([[0.5, 0.1, 0.9], [0.3, 0.2, 0.2], [0.0, 0.1, 0.4]])
    assert own_wins(scores, ALL).tolist() == pytest.approx([1 / 2, 1 / 4, 1.0]), "a tie is half"
    assert own_wins(scores + 1e-7 * torch.rand(3, 3), ALL).tolist() == pytest.approx([1 / 2, 1 / 4, 1.0])


def test_sounds_of_other_speakers_do_not_count():
    among = same_speaker(torch.tensor([4, 7, 4]))
    assert among.tolist() == [[True, False, True], [False, True, False], [True, False, True]]
    wins = own_wins(torch.tensor([[0.5, 0.9, 0.1], [0.0, 0.0, 0.0], [0.6, 0.9, 0.4]]), among)
    assert wins[[0, 2]].tolist() == [1.0, 0.0] and wins[1].isnan(), "it has no other"


def test_a_motion_that_is_always_the_same_wins_half():
    sounds = torch.randn(7, generator=torch.Generator().manual_seed(0))
    assert own_wins(sounds.expand(7, 7), torch.ones(7, 7, dtype=torch.bool)).mean() == pytest.approx(0.5)


def test_recall_is_of_the_motions_that_fit_a_sound_best():
    """Columns are sounds: the first finds its motion second, the second first, the third among two equals."""
    scores = torch.tensor([[0.5, 0.1, 0.3], [0.9, 0.8, 0.3], [0.1, 0.2, 0.3]])
    scores[0, 2] = 0.1
    assert recall_at(scores, ALL, 1).tolist() == pytest.approx([0.0, 1.0, 0.5])
    assert recall_at(scores, ALL, 2).tolist() == [1.0, 1.0, 1.0]
    among = same_speaker(torch.tensor([0, 1, 0]))
    assert recall_at(scores, among, 1).tolist() == [1.0, 1.0, 1.0], "among motions of its speaker"
    assert recall_at(torch.zeros(3, 3), ALL, 1).tolist() == pytest.approx([1 / 3] * 3), "equals stand in any order"


def test_takes_are_drawn_whole():
    values, takes = np.array([1.0, 1.0, 1.0, 0.0]), np.array([0, 0, 0, 1])
    means = resampled_means(values, takes, 2000, 0)
    assert set(np.round(means, 6)) == {0.0, 0.75, 1.0}
    assert (means == 0.75).mean() == pytest.approx(0.5, abs=0.05)
