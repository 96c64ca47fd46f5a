"""What each network is given, in which order, and which of it reaches which output."""

import math

import pytest
import torch
from tiny import tiny_batch, tiny_settings
from torch import nn

from semtalk.models.base_motion import FaceBranch, SpeechEncoder
from semtalk.models.embedder import MotionEmbedder, edge_neighbours, skeleton_edges
from semtalk.models.fusion import semantic_score
from semtalk.models.layers import (
    ChannelFusion,
    CrossAttention,
    HubertEncoder,
    PositionTable,
    step_mean,
    step_repeat,
)
from semtalk.models.predictor import TRAINING_PASSES, BodyBranch, CodeHead, MotionHint, Passes, Prediction
from semtalk.motion.skeleton import BODY_PARTS
from semtalk.tasks.phases import build_network, network_sizes


def sizes(*overrides: str):
    return network_sizes(tiny_settings(*overrides).model)


def network(phase: str, *overrides: str):
    torch.manual_seed(0)
    return build_network(phase, tiny_settings(*overrides), speakers=2).eval()


def watched(module: nn.Module) -> list:
    """Inputs and output of every call of a module from now on."""
    calls: list = []
    module.register_forward_hook(lambda _, inputs, output: calls.append((inputs, output)))
    return calls


def moved(a: torch.Tensor, b: torch.Tensor) -> bool:
    return bool((a - b).abs().max() > 1e-5)


# blocks ---------------------------------------------------------------------------------------------------------------


def test_steps_are_four_frames():
    x = torch.arange(16.0).view(1, 8, 2)
    assert step_mean(x).tolist() == [[[3.0, 4.0], [11.0, 12.0]]]
    assert torch.equal(step_repeat(step_mean(x))[0, :, 0], torch.tensor([3.0] * 4 + [11.0] * 4))


def test_positions_by_hand():
    table = PositionTable(6, 0.5).eval()
    out = table(torch.zeros(1, 70, 6))[0]
    for frame in (0, 3, 63, 66):
        for pair in range(3):
            angle = (frame % 64) / 10000 ** (2 * pair / 6)
            assert out[frame, 2 * pair].item() == pytest.approx(math.sin(angle), abs=1e-5)
            assert out[frame, 2 * pair + 1].item() == pytest.approx(math.cos(angle), abs=1e-5)
    assert torch.equal(table(torch.zeros(1, 16, 6), stride=4), table(torch.zeros(1, 64, 6))[:, ::4])


def test_channels_are_fused_by_attention_of_their_own():
    torch.manual_seed(0)
    fusion, a, b = ChannelFusion(3), torch.randn(2, 5, 3), torch.randn(2, 5, 3)
    scores = fusion.attention(torch.cat([a, b], dim=-1)).unflatten(-1, (3, 2))
    share = (scores[..., 1] - scores[..., 0]).sigmoid()
    assert torch.allclose(fusion(a, b), share * a + (1 - share) * b, atol=1e-6)


def test_rhythm_and_hubert_are_fused_and_hubert_is_kept_beside():
    torch.manual_seed(0)
    encoder = SpeechEncoder(5, 3, sizes()).eval()
    hubert, rhythm = torch.randn(2, 8, 5), torch.randn(2, 8, 3)
    fused, alone = encoder(hubert, rhythm)
    assert torch.equal(alone, encoder.hubert(hubert))
    assert torch.allclose(fused, encoder.fusion(alone, encoder.rhythm(rhythm)))
    assert moved(encoder(hubert, rhythm + 1)[0], fused) and torch.equal(encoder(hubert, rhythm + 1)[1], alone)
    assert moved(encoder(hubert + hubert.flip(0), rhythm)[0], fused)
    convolutions = [layer for layer in HubertEncoder(5, 4).layers if isinstance(layer, nn.Conv1d)]
    assert [(layer.in_channels, layer.kernel_size[0]) for layer in convolutions] == [(5, 3), (4, 3)]


def test_hidden_channels_hold_the_learned_mask():
    hint, motion = MotionHint(sizes()), torch.randn(2, 64, 337)
    masks = (torch.rand(3, 2, 64, 337) < 0.5).float()
    encoded = watched(hint.encoder)
    assert hint(motion, masks).shape == (6, 64, 16)
    ((given,), _) = encoded[0]
    assert torch.equal(given, torch.where(masks > 0, hint.mask_embedding, motion).flatten(0, 1))
    assert hint.mask_embedding.requires_grad and hint.mask_embedding.std() > 0


def test_passes_take_the_outputs_of_their_masks():
    rows = torch.arange(6.0)[:, None]
    assert TRAINING_PASSES.spread(rows, 3)[:, 0].tolist() == [0, 1, 2, 3, 4, 5, 3, 4, 5]
    assert Passes((0, 1), (True, True)).spread(rows, 3) is rows
    assert TRAINING_PASSES.repeat(rows[:2])[:, 0].tolist() == [0, 1] * 3
    assert len(TRAINING_PASSES) == 3 and TRAINING_PASSES.first(2) == Passes((0, 1), (True, False))


def test_memories_of_windows_serve_the_queries_of_all_passes():
    torch.manual_seed(0)
    attention = CrossAttention(16, 4, 32, 2, 0.0).eval()
    query, memory = torch.randn(6, 5, 16), torch.randn(2, 9, 16)
    together = attention(query, memory)
    for index in range(6):
        alone = attention(query[index : index + 1], memory[index % 2 : index % 2 + 1])
        assert torch.allclose(together[index], alone[0], atol=1e-5), "pass after pass, windows within"
    assert torch.allclose(attention.train()(query, memory), together, atol=1e-5), "training computes the same"


@pytest.mark.parametrize("positions", [True, False])
def test_code_heads_by_hand(positions):
    """Level 0 by an MLP of the latent; each further level reads all levels before it and the speech."""
    torch.manual_seed(0)
    head = CodeHead(sizes(f"model.network.memory_positions={positions}")).eval()
    latent, memory = torch.randn(6, 16, 16), torch.randn(2, 64, 16)
    logits, latents = head(latent, memory)
    table = PositionTable(16, 0.0).table
    speech = memory + table if positions else memory
    found, scores = [latent], [head.first(latent)]
    for level in range(1, 6):
        before = latent if level == 1 else head.gather[level - 1](torch.cat(found, dim=-1))
        query = before + table[::4] if positions else before
        found.append(before + head.attention[level - 1](query, speech))
        scores.append(head.further[level - 1](found[-1]))
    assert torch.allclose(latents, torch.stack(found, dim=-2), atol=1e-5)
    assert torch.allclose(logits, torch.stack(scores, dim=-2), atol=1e-5)


def body_branch(passes: Passes):
    torch.manual_seed(0)
    branch = BodyBranch(sizes(), speakers=2).eval()
    given = {"hint": torch.randn(6, 64, 16), "audio": torch.randn(3, 64, 16), "speaker": torch.tensor([0, 1, 0])}
    return branch, given, branch(**given, passes=passes)


def test_the_body_hears_in_the_passes_that_have_audio_alone():
    passes = TRAINING_PASSES
    branch, given, one = body_branch(passes)
    other = branch(**given | {"audio": given["audio"].flip(1)}, passes=passes)
    for part in BODY_PARTS:
        rows, changed = one[part].view(3, 3, 16, 16), other[part].view(3, 3, 16, 16)
        assert [moved(a, b) for a, b in zip(rows, changed, strict=True)] == [True, False, True], part
        alone = branch(given["hint"][3:], given["audio"], given["speaker"], Passes((0,), (False,)))[part]
        assert torch.allclose(rows[1], alone, atol=1e-5)


@pytest.mark.parametrize("name", ["hint", "audio", "speaker"])
def test_the_body_follows_hint_audio_and_speaker(name):
    branch, given, one = body_branch(Passes((0, 1), (True, True)))
    other = branch(
        **given | {name: 1 - given[name] if name == "speaker" else given[name].flip(1)},
        passes=Passes((0, 1), (True, True)),
    )
    assert all(moved(one[part], other[part]) for part in BODY_PARTS)


def test_body_parts_attend_to_their_siblings():
    torch.manual_seed(0)
    branch = BodyBranch(sizes(), speakers=2).eval()
    coarse, siblings, narrowed = watched(branch.split), watched(branch.siblings), watched(branch.narrow)
    speaker, voices = torch.tensor([0, 1]), watched(branch.halve_speaker)
    branch(torch.randn(2, 64, 16), torch.randn(2, 64, 16), speaker, Passes())
    (_, parts), ((query, memory), attended), (_, voice) = coarse[0], siblings[0], voices[0]
    assert torch.allclose(memory, parts.sum(dim=0, keepdim=True) - parts, atol=1e-5), "the two others, not itself"
    assert torch.allclose(query, branch.position(parts + voice), atol=1e-6)
    assert torch.allclose(narrowed[0][0][0], attended + parts, atol=1e-6)
    assert not torch.equal(parts[0], parts[1])


@pytest.mark.parametrize("name", ["hint", "speech", "speaker"])
def test_the_face_follows_hint_speech_and_speaker(name):
    torch.manual_seed(0)
    face = FaceBranch(sizes("model.network.local_layers=0"), speakers=2).eval()
    given = {"hint": torch.randn(4, 64, 16), "speech": torch.randn(2, 64, 16), "speaker": torch.tensor([0, 1])}
    one = face(**given)
    other = face(**given | {name: 1 - given[name] if name == "speaker" else given[name].flip(1)})
    assert one.shape == (4, 16, 16) and moved(one, other)


def test_the_face_attends_to_speech_and_hint_together():
    torch.manual_seed(0)
    face = FaceBranch(sizes(), speakers=2).eval()
    hint, speech, speaker = torch.randn(4, 64, 16), torch.randn(2, 64, 16), torch.tensor([0, 1])
    attended = watched(face.attention)
    face(hint, speech, speaker)
    ((query, memory), _) = attended[0]
    twice = speech.repeat(2, 1, 1)
    assert torch.allclose(memory, face.memory(torch.cat([twice, face.hint(hint)], dim=-1)), atol=1e-6)
    voice = face.speaker(speaker)[:, None].expand(-1, 64, -1).repeat(2, 1, 1)
    assert torch.allclose(query, face.position(voice), atol=1e-6)


# base and sparse ------------------------------------------------------------------------------------------------------


def test_base_compares_projected_latents_before_the_chain_with_hubert():
    net = network("base")
    features, motion, masks = tiny_batch()
    chain, heads = watched(net.coarse_to_fine), watched(net.heads)
    prediction = net(features, motion, masks, TRAINING_PASSES)
    coarse = chain[0][0][0]
    assert set(prediction.rhythmic) == set(prediction.speech) == {"face", "hands"}
    for part, latents in prediction.rhythmic.items():
        projected = net.projection[part](coarse[part]).unflatten(0, (3, 3))
        assert torch.equal(latents, projected) and moved(projected.flatten(0, 1), coarse[part])
    hubert = net.standard["hubert"](features["hubert"])
    rhythm = net.standard["rhythm"](features["rhythm"])
    assert torch.equal(prediction.speech["face"], step_mean(net.face_speech.hubert(hubert)))
    assert torch.equal(prediction.speech["hands"], step_mean(net.body_speech.hubert(hubert)))
    latents, memory = heads[0][0]
    for index, part in enumerate(net.heads.parts):
        speech = net.face_speech if part == "face" else net.body_speech
        assert torch.allclose(memory[index], speech(hubert, rhythm)[0], atol=1e-6), part
        assert torch.equal(latents[index], chain[0][1][part]), "heads read what the chain has refined"
    assert all(value.shape == (3, 3, 16, 6, 8) for value in prediction.logits.values())


def test_the_release_compares_latents_as_they_are():
    net = network("base", "model.base.project=false")
    assert all(isinstance(head, nn.Identity) for head in net.projection.values())


@pytest.mark.parametrize("phase", ["base", "sparse"])
def test_speech_that_is_given_is_not_encoded_again(phase):
    net = network(phase)
    features, motion, masks = tiny_batch()
    speech = net.encode_speech(features)
    own = net({"speaker": features["speaker"]}, motion, masks, TRAINING_PASSES, speech)
    other = net(features, motion, masks, TRAINING_PASSES)
    assert all(torch.equal(own.logits[part], other.logits[part]) for part in own.logits)
    assert torch.equal(speech.rows(slice(1, 2)).rows(0).__dict__[next(iter(speech.__dict__))],
                       next(iter(speech.__dict__.values()))[1])  # fmt: skip


@pytest.mark.parametrize(
    ("phase", "name"),
    [("base", "hubert"), ("base", "rhythm"), ("base", "speaker")]
    + [("sparse", name) for name in ("hubert", "words", "sentence", "emotion", "speaker")],
)
def test_every_input_reaches_every_part(phase, name):
    net = network(phase)
    features, motion, masks = tiny_batch()
    other = features | {name: 1 - features[name] if name == "speaker" else features[name].flip(0) + 1}
    one, two = (net(f, motion, masks[:1], Passes()) for f in (features, other))
    for part, logits in one.logits.items():
        assert moved(logits[..., 0, :], two.logits[part][..., 0, :]), (part, "level 0")
        assert moved(logits[..., 5, :], two.logits[part][..., 5, :]), (part, "level 5")


def test_semantic_features_by_hand():
    net = network("sparse")
    features, _, _ = tiny_batch()
    own = net.semantics
    attended, fused = watched(own.attention), watched(own.fusion)
    speech = net.encode_speech(features)
    standard = {name: layer(features[name]) for name, layer in own.standard.items()}
    (query, memory), text = attended[0]
    wanted = torch.stack(
        [own.context["sentence"](standard["sentence"]), own.context["emotion"](standard["emotion"])], 1
    )
    assert torch.allclose(memory, wanted) and torch.allclose(query, own.position(own.words(standard["words"])))
    (first, second), fused = fused[0]
    assert first is text and torch.allclose(second, own.hubert(standard["hubert"]))
    assert torch.allclose(speech.gate_logits, own.gate(step_mean(fused)))
    psi = speech.gate_logits.softmax(dim=-1)[..., 1:]
    assert torch.allclose(speech.semantic, own.emphasis(fused) * psi.repeat_interleave(4, dim=1), atol=1e-6)


def test_sparse_predicts_body_parts_and_one_gate_for_all_passes():
    net = network("sparse")
    features, motion, masks = tiny_batch()
    heads = watched(net.heads)
    prediction = net(features, motion, masks, TRAINING_PASSES)
    speech = net.encode_speech(features)
    assert set(prediction.logits) == set(BODY_PARTS) and torch.equal(prediction.gate_logits, speech.gate_logits)
    assert torch.equal(prediction.psi, semantic_score(speech.gate_logits)) and prediction.psi.shape == (3, 16)
    assert all(torch.equal(memory, speech.semantic) for memory in heads[0][0][1])
    assert semantic_score(torch.tensor([[[0.0, math.log(3)]]])).item() == pytest.approx(0.75)


def test_the_chain_of_every_model_is_the_papers():
    for name in ("paper", "small", "strong"):
        model = tiny_settings(f"model={name}").model
        base = [(link.part, list(link.memory)) for link in model.base.chain]
        assert base == [("hands", ["face"]), ("upper", ["hands"]), ("lower", ["upper"])]
        sparse = [(link.part, list(link.memory)) for link in model.sparse.chain]
        assert sparse == [("upper", ["hands"]), ("lower", ["upper"])]
        assert list(model.sparse.context) == ["sentence", "emotion"] and model.base.project and model.standardise


def test_the_body_is_given_hubert_and_rhythm_fused():
    net = network("base")
    features, motion, masks = tiny_batch()
    body, face = watched(net.body), watched(net.face)
    net(features, motion, masks, TRAINING_PASSES)
    hubert, rhythm = (net.standard[slot](features[slot]) for slot in ("hubert", "rhythm"))
    hint = net.hint(motion, masks)
    for branch, encoder in ((body, net.body_speech), (face, net.face_speech)):
        (own, speech, *_), _ = branch[0]
        assert torch.equal(own, hint) and torch.equal(speech, encoder(hubert, rhythm)[0])


@pytest.mark.parametrize("phase", ["base", "sparse"])
def test_features_are_standardised_before_anything_hears_them(phase):
    net = network(phase)
    features, _, _ = tiny_batch()
    plain = net.encode_speech(features)
    for slot, layer in net.standard.items():
        layer.set_statistics(torch.full_like(layer.mean, 3.0), torch.full_like(layer.scale, 2.0))
        features[slot] = 2 * features[slot] + 3
    other = net.encode_speech(features)
    for name, value in plain.__dict__.items():
        assert torch.allclose(value, getattr(other, name), atol=1e-4), name


def test_noise_is_added_to_hubert_and_rhythm_alone():
    for phase, noisy in (("base", {"hubert", "rhythm"}), ("sparse", {"hubert"})):
        layers = network(phase, "features.noise=0.7").standard
        assert {slot for slot, layer in layers.items() if layer.noise} == noisy
        assert all(layers[slot].noise == 0.7 for slot in noisy)


def test_codes_are_those_of_the_pass_that_is_asked_for():
    logits = torch.randn(3, 2, 16, 6, 8)
    for index in range(3):
        assert torch.equal(Prediction({"face": logits}, {}).codes(index)["face"], logits[index].argmax(dim=-1))


def test_edges_far_apart_do_not_see_each_other():
    embedder, near = MotionEmbedder().eval(), edge_neighbours(skeleton_edges())
    first = embedder.encoder[0].conv
    x = torch.zeros(1, 330, 8)
    still = first(x)
    x[:, :6] = 1.0  # of the root
    changed = (first(x) - still).abs().amax(dim=(0, 2)).unflatten(0, (55, -1)).amax(dim=1) > 0
    assert torch.equal(changed, near[0] > 0) and not near[0].all()


def test_attention_to_speech_starts_along_the_diagonal():
    torch.manual_seed(0)
    for name, aligned in (("true", True), ("false", False)):
        own = sizes(f"model.network.memory_positions={name}")
        for attention in (own.frame_attention(1, to_speech=True), own.residual_attention()):
            query, key, _ = attention.layers[0].multihead_attn.in_proj_weight.chunk(3)
            assert torch.equal(query, key) == aligned
        query, key, _ = own.frame_attention(1).layers[0].multihead_attn.in_proj_weight.chunk(3)
        assert not torch.equal(query, key), "other parts are attended to freely"
