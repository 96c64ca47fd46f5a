"""What is hidden of a window: by counting cells, joints and frames."""

import pytest
import torch

from semtalk.models.masking import mask_ratio, random_mask, seed_mask


def cells(mask: torch.Tensor) -> torch.Tensor:
    """(B, T, 56) of a mask (B, T, 337): which joints are hidden in which frames, translation and contact last."""
    joints, rest = mask[..., :330].unflatten(-1, (55, 6)), mask[..., None, 330:]
    for group in (joints, rest):
        assert (group == group[..., :1]).all(), "the channels of a joint are hidden together"
    return torch.cat([joints[..., 0], rest[..., 0]], dim=-1).bool()


def drawn(ratio: float, hides: str, batch: int = 400) -> torch.Tensor:
    torch.manual_seed(0)
    return cells(random_mask(batch, ratio, hides=hides))


def test_the_seed_mask_gives_four_frames():
    assert seed_mask()[:4].sum() == 0 and seed_mask()[4:].mean() == 1


def test_the_share_grows_evenly_from_its_begin():
    assert mask_ratio(0.0, 0.4, 0.6) == 0 and mask_ratio(0.3, 0.4, 0.6) == pytest.approx(0.2)
    assert mask_ratio(0.6, 0.4, 0.6) == mask_ratio(1.0, 0.4, 0.6) == pytest.approx(0.4)
    assert mask_ratio(0.2, 0.4, 0.6, begin=0.2) == 0 == mask_ratio(0.1, 0.4, 0.6, begin=0.2)
    assert mask_ratio(0.4, 0.4, 0.6, begin=0.2) == pytest.approx(0.2)
    assert mask_ratio(0.6, 0.4, 0.6, begin=0.2) == mask_ratio(0.9, 0.4, 0.6, begin=0.2) == pytest.approx(0.4)
    assert mask_ratio(0.0, 0.4, 0.0) == mask_ratio(0.5, 0.4, 0.2, begin=0.5) == 0.4, "no time to grow in"


@pytest.mark.parametrize("hides", ["joints_and_frames", "cells"])
@pytest.mark.parametrize("ratio", [0.0, 0.1, 0.4, 0.8, 1.0])
def test_the_ratio_is_the_share_of_hidden_cells(hides, ratio):
    hidden = drawn(ratio, hides).float()
    assert hidden.mean().item() == pytest.approx(ratio, abs=0.01)
    assert hidden.mean(dim=(0, 1)).sub(ratio).abs().max() < 0.12, "every joint is hidden as often"
    assert hidden.mean(dim=(0, 2)).sub(ratio).abs().max() < 0.12, "every frame is, those of the seed too"


def test_whole_joints_and_whole_frames_are_hidden():
    hidden = drawn(0.4, "joints_and_frames")
    frames, joints = hidden.all(dim=2), hidden.all(dim=1)
    assert torch.equal(hidden, frames[:, :, None] | joints[:, None]), "nothing but whole joints and whole frames"
    for share in (frames, joints):
        assert share.float().mean().item() == pytest.approx(1 - 0.6**0.5, abs=0.01), "as many of either"
    assert not torch.equal(frames[0], frames[1]) and not torch.equal(joints[0], joints[1]), "each window has its own"


def test_cells_are_hidden_one_by_one():
    hidden = drawn(0.4, "cells")
    assert not hidden.all(dim=2).any() and not hidden.all(dim=1).any()
    after = hidden[:, 1:][hidden[:, :-1]].float().mean().item()
    assert after == pytest.approx(0.4, abs=0.01), "a cell says nothing of the next frame's"
