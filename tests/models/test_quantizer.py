"""Quantizer, RVQ-VAE and tokenizer: what moves codes and encoder, and when."""

import pytest
import torch
from tiny import tiny_settings, tiny_tokenizer, training_batch

from semtalk.models.quantizer import Codebook, ResidualQuantizer
from semtalk.models.rvqvae import RVQVAE
from semtalk.motion.parts import batch_frames, split_parts
from semtalk.motion.skeleton import PARTS


def quantizer(**options) -> ResidualQuantizer:
    torch.manual_seed(0)
    own = ResidualQuantizer(3, 8, 4, **{"dropout": 0.0} | options)
    for level in own.levels:
        level.codebook.normal_(), level.initialised.fill_(True)
    return own


def test_the_commitment_loss_is_of_all_levels_and_moves_the_encoder_towards_them():
    own = quantizer().eval()
    x = torch.randn(2, 5, 4, requires_grad=True)
    vectors = own.decode(own(x)[1])
    left = [x - vectors[..., :level, :].sum(dim=-2) for level in range(3)]
    errors = [(rest - vectors[..., level, :]).square().mean() for level, rest in enumerate(left)]
    commitment = own(x)[2]
    assert commitment.item() == pytest.approx((sum(errors) / 3).item(), rel=1e-5)
    commitment.backward()
    by_hand = sum(2 * (rest - vectors[..., level, :]) for level, rest in enumerate(left)) / 3 / x.numel()
    assert torch.allclose(x.grad, by_hand, atol=1e-6)


def test_nothing_is_left_out_and_nothing_moves_at_evaluation():
    own = quantizer(dropout=1.0).eval()
    before = {name: value.clone() for name, value in own.state_dict().items()}
    assert (own(torch.randn(40, 6, 4))[1] >= 0).all()
    assert all(torch.equal(before[name], value) for name, value in own.state_dict().items())


def test_levels_are_left_out_as_often_as_the_setting_says():
    own = quantizer(dropout=0.2).train()
    left_out = sum(bool((own(torch.randn(1, 2, 4))[1] < 0).any()) for _ in range(400))
    assert 50 < left_out < 110
    assert tiny_settings("model=paper").model.rvqvae.quantizer_dropout == 0.2


def test_nearest_codes_are_nearest():
    own, x = quantizer().eval(), torch.randn(50, 4)
    distance = (x[:, None] - own.levels[0].codebook).square().sum(dim=-1)
    assert torch.equal(own.levels[0].nearest(x), distance.argmin(dim=1))


def test_the_first_batch_gives_the_codes():
    level, rows = Codebook(4, 2, 0.9, 0.0), torch.randn(8, 2)
    level.initialise(rows)
    assert torch.equal(level.codebook, rows[::2]) and torch.equal(level.sums, rows[::2])
    assert level.counts.tolist() == [1, 1, 1, 1] and bool(level.initialised)
    level.initialise(rows + 1)
    assert torch.equal(level.codebook, rows[::2]), "once"


def test_codes_are_moving_averages_and_dead_ones_restart_at_a_vector_of_the_batch():
    level = Codebook(3, 1, decay=0.75, dead_below=0.6)
    level.codebook.copy_(torch.tensor([[0.0], [10.0], [20.0]])), level.sums.copy_(level.codebook)
    level.counts.fill_(0.8)
    rows, indices = torch.tensor([[1.0], [3.0], [9.0]]), torch.tensor([0, 0, 1])
    level.sums.mul_(0.8)
    level.update(rows, indices)
    assert level.counts.tolist() == pytest.approx([0.75 * 0.8 + 0.25 * 2, 0.75 * 0.8 + 0.25, 0.75 * 0.8])
    assert level.codebook[0].item() == pytest.approx(0.25 * 4 / 1.1)
    assert level.codebook[1].item() == pytest.approx((0.75 * 8 + 0.25 * 9) / 0.85)
    level.update(rows, indices)
    assert level.counts[2] == 1 and level.codebook[2].item() in (1.0, 3.0, 9.0), "the third one was used no more"
    assert level.counts[0] > 1.1 and 0 < level.codebook[0].item() < 3


def test_rvqvaes_learn_through_the_codes():
    torch.manual_seed(0)
    rvqvae = RVQVAE(78, width=16, latent=8, levels=2, codes=4, quantizer_dropout=0.0).train()
    x = torch.randn(2, 64, 78)
    rvqvae(x)[0].square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in rvqvae.encoder.parameters())
    given = RVQVAE(78, width=16, latent=8, levels=2, codes=4, decay=0.9, quantizer_dropout=0.3).quantizer
    assert given.levels[0].decay == 0.9 and given.dropout == 0.3
    rvqvae.eval().set_statistics(torch.full((78,), 3.0), torch.full((78,), 2.0))
    latent = torch.randn(1, 4, 8)
    one = rvqvae.decode_latent(latent)
    rvqvae.set_statistics(torch.zeros(78), torch.ones(78))
    assert torch.allclose(one, 2 * rvqvae.decode_latent(latent) + 3, atol=1e-5)


def test_tokenizers_keep_the_parts_apart_and_stay_in_evaluation():
    tokenizer, frames = tiny_tokenizer(), batch_frames(training_batch(2))
    codes, channels = tokenizer.encode(frames), split_parts(frames)
    vectors = tokenizer.vectors(codes)
    for part in PARTS:
        assert torch.equal(codes[part], tokenizer[part].encode(channels[part]))
        by_hand = [tokenizer.codebooks(part)[level][codes[part][..., level]] for level in range(6)]
        assert torch.equal(vectors[part], torch.stack(by_hand, dim=-2))
        assert torch.allclose(tokenizer.latents(codes)[part], sum(by_hand), atol=1e-6)
    assert not any(module.training for module in tokenizer.train().modules())
    assert not any(parameter.requires_grad for parameter in tokenizer.parameters())


def test_batches_of_one_step_move_the_codes_as_one_batch_does():
    windows = torch.randn(6, 5, 4, generator=torch.Generator().manual_seed(1))
    whole, parts = quantizer(decay=0.5, dead_below=0.9), quantizer(decay=0.5, dead_below=0.9)
    before = {name: value.clone() for name, value in parts.state_dict().items()}
    whole.train()(windows)
    for number, own in enumerate(windows.chunk(3)):
        parts.hold = number < 2
        parts.train()(own)
        moved = any(not torch.equal(before[name], value) for name, value in parts.state_dict().items())
        assert moved == (number == 2)
    for name, value in whole.state_dict().items():
        assert torch.allclose(parts.state_dict()[name], value, atol=1e-6), name
