"""Networks and losses: hand-computed numbers, saved state, shared work, and what must not couple."""

import math

import pytest
import torch
from tiny import TINY, tiny_batch

from semtalk.losses import code_loss, gate_loss, global_consistency, info_nce, latent_loss, local_consistency
from semtalk.models.attention import TransformerLayer
from semtalk.models.embedder import MotionEmbedder, edge_neighbours, pool_edges, skeleton_edges
from semtalk.models.fusion import blend_latents, fuse_codes
from semtalk.models.layers import smooth_steps
from semtalk.models.predictor import TRAINING_PASSES, CoarseToFine, Passes
from semtalk.models.quantizer import ResidualQuantizer
from semtalk.models.rvqvae import RVQVAE, LinearPath
from semtalk.models.translation import TranslationNetwork, hide_root
from semtalk.settings import compose
from semtalk.tasks.phases import build_network, network_sizes


def network(phase: str):
    torch.manual_seed(0)
    return build_network(phase, compose("train", *TINY), speakers=2).eval()


# quantizer ------------------------------------------------------------------------------------------------------------


def trained_quantizer(steps: int = 3) -> ResidualQuantizer:
    torch.manual_seed(0)
    quantizer = ResidualQuantizer(3, 8, 4, dropout=0.0).train()
    for _ in range(steps):
        quantizer(torch.randn(5, 6, 4))
    return quantizer


def test_quantizer_state_survives_a_reload(tmp_path):
    quantizer = trained_quantizer()
    torch.save(quantizer.state_dict(), tmp_path / "q.pt")
    again = ResidualQuantizer(3, 8, 4, dropout=0.0).train()
    again.load_state_dict(torch.load(tmp_path / "q.pt", weights_only=True))
    batch = torch.randn(5, 6, 4)
    before = quantizer.levels[0].codebook.clone()
    quantizer(batch)
    again(batch)
    for one, other in zip(quantizer.levels, again.levels, strict=True):
        assert torch.equal(one.codebook, other.codebook)
    assert 0 < (quantizer.levels[0].codebook - before).abs().max() < 1.0


def test_codebook_follows_the_moving_average():
    quantizer = ResidualQuantizer(1, 2, 1, decay=0.9, dead_below=0.0, dropout=0.0).train()
    level = quantizer.levels[0]
    quantizer(torch.tensor([[[0.0], [1.0]]]))
    assert level.counts.tolist() == pytest.approx([0.9 + 0.1, 0.9 + 0.1])
    quantizer(torch.tensor([[[0.2], [0.2]]]))
    assert level.counts.tolist() == pytest.approx([0.9 + 0.1 * 2, 0.9])
    assert level.codebook[0].item() == pytest.approx(0.1 * 0.4 / 1.1)
    assert level.codebook[1].item() == pytest.approx(1.0)


def test_dead_codes_restart():
    quantizer = ResidualQuantizer(1, 4, 2, decay=0.5, dead_below=0.3, dropout=0.0).train()
    quantizer(torch.randn(1, 64, 2))
    quantizer.levels[0].codebook[3] = 1000.0
    for _ in range(4):
        quantizer(torch.randn(1, 64, 2))
    assert quantizer.levels[0].codebook.abs().max() < 10


def test_residual_gradient_is_straight_through_once():
    quantizer = trained_quantizer().eval()
    x = torch.randn(2, 6, 4, requires_grad=True)
    quantizer(x)[0].sum().backward()
    assert torch.allclose(x.grad, torch.ones_like(x))


def test_residual_levels_reduce_the_error_and_decode():
    quantizer = trained_quantizer(30).eval()
    x = torch.randn(5, 6, 4)
    kept = x.clone()
    quantised, indices, _ = quantizer(x)
    assert torch.equal(x, kept), "the input must not be changed"
    vectors = quantizer.decode(indices)
    assert torch.allclose(vectors.sum(dim=-2), quantised, atol=1e-6)
    errors = [(vectors[..., :k, :].sum(dim=-2) - x).square().mean() for k in (1, 2, 3)]
    assert errors[0] > errors[1] > errors[2]
    assert torch.equal(quantizer.decode(indices[..., :2]), vectors[..., :2, :])


def test_quantizer_dropout_leaves_out_the_last_levels():
    quantizer = trained_quantizer()
    quantizer.dropout = 1.0
    torch.manual_seed(1)
    indices = torch.cat([quantizer(torch.randn(2, 6, 4))[1] for _ in range(20)])
    assert (indices[..., 0] >= 0).all()
    assert (indices[..., 2] == -1).all()
    assert {-1} < set(indices[..., 1].flatten().tolist())


def test_one_level_is_a_plain_vq():
    quantizer = ResidualQuantizer(1, 8, 4, dropout=1.0).train()
    quantised, indices, _ = quantizer(torch.randn(2, 6, 4))
    assert indices.shape == (2, 6, 1) and (indices >= 0).all() and quantised.shape == (2, 6, 4)


def test_rvqvae_standardises_and_downsamples():
    rvqvae = RVQVAE(78, width=16, latent=8, levels=2, codes=4).eval()
    rvqvae.set_statistics(torch.full((78,), 5.0), torch.full((78,), 2.0))
    x = torch.randn(2, 64, 78)
    assert rvqvae.encode(x).shape == (2, 16, 2)
    assert rvqvae.decode(rvqvae.encode(x)).shape == x.shape
    plain = RVQVAE(78, width=16, latent=8, levels=2, codes=4).eval()
    plain.load_state_dict(rvqvae.state_dict() | {"mean": torch.zeros(78), "scale": torch.ones(78)})
    assert torch.allclose(rvqvae.encode_latent(x), plain.encode_latent((x - 5) / 2), atol=1e-6)


def ramps_along_one_direction() -> list[torch.Tensor]:
    """Takes (40, 6) that move evenly along one direction, about a mean."""
    torch.manual_seed(0)
    place = torch.linspace(-1, 1, 40)[:, None] * torch.tensor([1.0, -0.5, 2.0])
    return [place[:, k : k + 1] * torch.tensor([1.0, -2.0, 0.5, 3.0, 0.0, 1.0]) + 3 for k in range(3)]


def test_linear_path_starts_as_the_principal_directions():
    path = LinearPath(6, latent=5)
    path.fit(ramps_along_one_direction(), directions=1)
    for take in ramps_along_one_direction():
        latent = path.down(take.T[None])
        assert torch.allclose(path.decode(latent)[0, :, 2:-2].T, take[2:-2], atol=1e-4), "even motion is kept exactly"
        assert latent[:, 0].std() > 0.1 and not latent[:, 1:].any()
        for last in range(1, 20):
            assert torch.allclose(path.decode(latent, last), path.decode(latent)[..., -last:], atol=1e-6)


def test_codes_that_jump_give_no_jerk():
    """The linear path moves evenly from the middle of one step to that of the next."""
    path = LinearPath(6, latent=5)
    path.fit(ramps_along_one_direction(), directions=1)
    latent = torch.zeros(1, 5, 6)
    latent[:, 0, 3:] = 1.0
    moved = path.decode(latent)[0].detach().diff(dim=1).norm(dim=0)
    assert moved[10:13] == pytest.approx(moved[11].expand(3), rel=1e-4) and moved.argmax() in (10, 11, 12)
    assert not (moved[:9].any() or moved[14:].any())


def test_rvqvae_adds_the_linear_path_at_both_ends():
    rvqvae = RVQVAE(6, width=16, latent=5, levels=2, codes=4, linear=1).eval()
    rvqvae.fit_linear(ramps_along_one_direction())
    for parameter in [*rvqvae.encoder.parameters(), *rvqvae.decoder.parameters()]:
        parameter.data.zero_()
    x = ramps_along_one_direction()[0][None]
    latent = rvqvae.encode_latent(x)
    assert torch.allclose(rvqvae.decode_latent(latent)[:, 2:-2], x[:, 2:-2], atol=1e-4)
    assert torch.allclose(rvqvae.decode_latent(latent, 6)[:, :-2], x[:, -6:-2], atol=1e-4)


def test_decoded_frames_are_averaged_with_their_neighbours():
    torch.manual_seed(0)
    rvqvae, plain = (RVQVAE(6, width=16, latent=5, levels=2, codes=4, linear=1, smoothing=s).eval() for s in (2, 0))
    plain.load_state_dict(rvqvae.state_dict())
    latent = torch.randn(2, 8, 5)
    rough, smooth = plain.decode_latent(latent), rvqvae.decode_latent(latent)
    kernel = torch.tensor([1.0, 4.0, 6.0, 4.0, 1.0]) / 16
    by_hand = (rough.unfold(1, 5, 1) * kernel).sum(dim=-1)
    assert torch.allclose(smooth[:, 2:-2], by_hand, atol=1e-5)
    held = torch.cat([rough[:, :1], rough[:, :-1]], dim=1), torch.cat([rough[:, 1:], rough[:, -1:]], dim=1)
    assert torch.allclose(smooth_steps(rough, 1), (held[0] + 2 * rough + held[1]) / 4, atol=1e-6)
    for last in (1, 4, 13):
        assert torch.allclose(rvqvae.decode_latent(latent, last), smooth[:, -last:], atol=1e-5)


def test_latent_noise_is_for_training_alone():
    rvqvae = RVQVAE(6, width=16, latent=5, levels=2, codes=4, quantizer_dropout=0.0, noise=0.5)
    x = torch.randn(2, 16, 6)
    rvqvae(x)
    noise = torch.stack([rvqvae._noise(torch.randn(64, 8, 5) * torch.arange(5)) for _ in range(40)])
    assert noise.std(dim=(0, 1, 2)) == pytest.approx(0.5 / 3**0.5 * torch.arange(5), abs=0.1)
    assert not torch.equal(rvqvae(x)[0], rvqvae(x)[0])
    rvqvae.eval()
    assert torch.equal(rvqvae(x)[0], rvqvae(x)[0])


# losses and fusion by hand --------------------------------------------------------------------------------------------


def test_info_nce_by_hand():
    motion = torch.tensor([[1.0, 0.0], [0.0, 2.0]])
    speech = torch.tensor([[3.0, 0.0], [1.0, 1.0]])
    r = math.sqrt(0.5)
    first = -math.log(math.exp(1 / 0.1) / (math.exp(1 / 0.1) + math.exp(r / 0.1)))
    second = -math.log(math.exp(r / 0.1) / (math.exp(0.0) + math.exp(r / 0.1)))
    assert info_nce(motion, speech).item() == pytest.approx((first + second) / 2, rel=1e-5)
    other_axis = info_nce(speech, motion).item()
    assert other_axis != pytest.approx((first + second) / 2, rel=1e-3), "the softmax runs over the speech side"


def test_local_and_global_consistency_compare_frames_and_clips():
    speech = torch.randn(4, 16, 8)
    assert local_consistency(speech, speech) < local_consistency(speech.roll(1, dims=1), speech)
    assert global_consistency(speech, speech) < global_consistency(speech.roll(1, dims=0), speech)
    shuffled = speech[:, torch.randperm(16)]
    assert torch.allclose(global_consistency(shuffled, speech), global_consistency(speech, speech), atol=1e-5)


def test_code_loss_weights_levels_and_steps():
    codes = torch.zeros(1, 2, 2, dtype=torch.long)
    logits = torch.zeros(1, 1, 2, 2, 4)
    assert code_loss(logits, codes).item() == pytest.approx(math.log(4) * 1.5)
    logits[0, 0, 1, :, 0] = 100.0
    assert code_loss(logits, codes).item() == pytest.approx(math.log(4) * 1.5 / 2)
    assert code_loss(logits, codes, torch.tensor([[0.0, 1.0]])).item() == pytest.approx(0.0, abs=1e-6)


def test_latent_loss_weights_steps():
    latents, vectors = torch.zeros(1, 2, 1, 3), torch.tensor([[[[1.0, 1.0, 1.0]], [[2.0, 2.0, 2.0]]]])
    assert latent_loss(latents, vectors).item() == pytest.approx(2.5)
    assert latent_loss(latents, vectors, torch.tensor([[1.0, 0.0]])).item() == pytest.approx(1.0)


def test_gate_loss_is_about_a_score_above_zero():
    gate = torch.tensor([[[0.0, 9.0], [9.0, 0.0]]])
    assert gate_loss(gate, torch.tensor([[0.2, 0.0]])) < 0.001 < 1 < gate_loss(gate, torch.tensor([[0.0, 0.2]]))


def test_gate_loss_leaves_out_steps_without_a_label():
    gate = torch.tensor([[[0.0, 1.0], [2.0, 0.0], [0.0, 3.0]]]).requires_grad_()
    loss = gate_loss(gate, torch.tensor([[0.2, torch.nan, 0.0]]))
    assert loss.item() == pytest.approx(gate_loss(gate[:, [0, 2]], torch.tensor([[0.2, 0.0]])).item())
    loss.backward()
    assert not gate.grad[0, 1].any() and gate.grad[0, [0, 2]].all()
    nothing = gate_loss(gate, torch.full((1, 3), torch.nan))
    nothing.backward()
    assert nothing == 0 and gate.grad.isfinite().all()


def test_fusion_by_hand():
    base, sparse = torch.zeros(1, 2, 1, 3), torch.ones(1, 2, 1, 3)
    blended = blend_latents(base, sparse, torch.tensor([[0.25, 1.0]]))
    assert blended[0, :, 0, 0].tolist() == [0.25, 1.0]
    codes = {"face": torch.tensor([[[1], [1], [1]]]), "hands": torch.tensor([[[1], [1], [1]]])}
    fused = fuse_codes(codes, {"hands": torch.tensor([[[2], [2], [2]]])}, torch.tensor([[0.4, 0.5, 0.6]]), beta=0.5)
    assert fused["hands"].flatten().tolist() == [1, 1, 2]
    assert fused["face"].flatten().tolist() == [1, 1, 1]


# networks -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cross", [True, False])
def test_attention_equals_torch(cross):
    torch.manual_seed(0)
    own = TransformerLayer(32, 4, 64, 0.0, cross).eval()
    reference = (torch.nn.TransformerDecoderLayer if cross else torch.nn.TransformerEncoderLayer)(
        32, 4, 64, 0.0, batch_first=True
    ).eval()
    reference.load_state_dict(own.state_dict())
    x, memory = torch.randn(6, 16, 32), torch.randn(2, 64, 32)
    expected = reference(x, memory.repeat(3, 1, 1)) if cross else reference(x)
    assert torch.allclose(own(x, memory if cross else None), expected, atol=1e-5)


@pytest.mark.parametrize("phase", ["base", "sparse"])
def test_passes_together_equal_passes_alone(phase):
    net = network(phase)
    features, motion, masks = tiny_batch()
    with torch.no_grad():
        together = net(features, motion, masks, TRAINING_PASSES)
        for index, (mask, audio) in enumerate(zip(TRAINING_PASSES.mask, TRAINING_PASSES.audio, strict=True)):
            alone = net(features, motion, masks[[mask]], Passes((0,), (audio,)))
            for part in alone.logits:
                assert alone.logits[part].shape == (1, 3, 16, 6, 8)
                assert torch.allclose(alone.logits[part][0], together.logits[part][index], atol=1e-5), part
                assert torch.allclose(alone.latents[part][0], together.latents[part][index], atol=1e-5), part


def test_audio_matters_only_where_a_pass_hears_it():
    net = network("base")
    features, motion, masks = tiny_batch()
    other = features | {"hubert": features["hubert"].flip(0)}
    with torch.no_grad():
        deaf = [
            net(f, motion, masks[:1], Passes((0,), (False,))).latents["upper"][..., 0, :] for f in (features, other)
        ]
        hearing = [net(f, motion, masks[:1], Passes()).latents["upper"][..., 0, :] for f in (features, other)]
    assert (deaf[0] - deaf[1]).abs().max() < (hearing[0] - hearing[1]).abs().max()


def test_hidden_motion_cannot_be_seen():
    net = network("base")
    features, motion, masks = tiny_batch()
    changed = motion.clone()
    changed[:, 4:] += 10
    with torch.no_grad():
        one, other = (net(features, m, masks[:1], Passes()).logits["hands"] for m in (motion, changed))
        changed[:, :4] += 1
        third = net(features, changed, masks[:1], Passes()).logits["hands"]
    assert torch.equal(one, other)
    assert not torch.equal(one, third)


def test_speech_positions_tell_when_something_is_said():
    features, motion, masks = tiny_batch()
    moved = features | {name: features[name].roll(16, dims=1) for name in ("hubert", "rhythm")}
    net = network("base")
    with torch.no_grad():
        one, other = (net(f, motion, masks[:1], Passes()).latents["face"][..., 0, :] for f in (features, moved))
    assert (one - other).abs().max() > 1e-4


def test_coarse_to_fine_follows_its_chain():
    sizes = network_sizes(compose("train", *TINY).model)
    torch.manual_seed(0)
    chain = CoarseToFine(sizes, [("hands", ["face"]), ("upper", ["hands"])]).eval()
    coarse = {part: torch.randn(2, 16, 16) for part in ("face", "upper", "hands", "lower")}
    refined = chain(coarse)
    assert refined["face"] is coarse["face"] and refined["lower"] is coarse["lower"]
    changed = chain(coarse | {"face": coarse["face"].flip(1)})
    assert not torch.allclose(changed["hands"], refined["hands"])
    assert not torch.allclose(changed["upper"], refined["upper"]), "face guides hands, hands guide upper"
    rough = CoarseToFine(sizes, [("hands", ["face"]), ("upper", ["hands:coarse"])])
    rough.load_state_dict(chain.state_dict())
    rough.eval()
    same = [rough(c)["upper"] for c in (coarse, coarse | {"face": coarse["face"].flip(1)})]
    assert torch.equal(*same), "hands:coarse is what hands were before the chain"


@pytest.mark.parametrize("name", ["words", "sentence", "emotion", "hubert"])
def test_every_semantic_input_moves_the_gate(name):
    net = network("sparse")
    features, motion, masks = tiny_batch()
    with torch.no_grad():
        one = net(features, motion, masks[:1], Passes()).psi
        other = net(features | {name: features[name] + 1.0}, motion, masks[:1], Passes()).psi
    assert (one - other).abs().max() > 1e-5
    assert one.shape == (3, 16)


# FGD embedder ---------------------------------------------------------------------------------------------------------


def test_embedder_structure_follows_the_skeleton():
    edges = skeleton_edges()
    assert len(edges) == 55 and edges[0] == (0, 55)
    pooled, groups = pool_edges(edges)
    assert sorted(index for group in groups for index in group) == list(range(55))
    assert [len(edges), len(pooled), len(pool_edges(pooled)[0])] == [55, 35, 20]
    near = edge_neighbours(edges)
    assert near[3, 6] == 1 and near[10, 11] == 0 and torch.equal(near, near.T)
    embedder = MotionEmbedder().eval()
    assert embedder.embed(torch.randn(2, 64, 330)).shape == (2, 4, 240)
    assert embedder(torch.randn(2, 64, 330)).shape == (2, 64, 330)


def test_the_ends_of_a_take_see_no_zeros():
    """A still pose gives the same root at the ends as in the middle."""
    torch.manual_seed(0)
    network = TranslationNetwork(width=16).eval()
    still = torch.randn(1, 1, 61).expand(1, 90, 61)
    root, plain = network.predict(still), network(hide_root(still))
    for end in (0, 89):
        assert torch.allclose(root[:, end], root[:, 45], atol=1e-3)
        assert not torch.allclose(plain[:, end], root[:, 45], atol=1e-3), "zeros beyond the ends matter"
