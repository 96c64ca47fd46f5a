"""Runs one converted network on given inputs and names its outputs as the reference does."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from semtalk.losses import local_consistency
from semtalk.models.predictor import Passes
from semtalk.models.rvqvae import RVQVAE

KINDS = {
    "rvq_face": "rvqvae_face", "rvq_upper": "rvqvae_upper", "rvq_hands": "rvqvae_hands", "rvq_lower": "rvqvae_lower",
    "global": "translation", "fgd": "fgd", "base": "base", "sparse": "sparse",
}  # fmt: skip
"""Name of a network in the reference -> phase."""


def _rvqvae(network: RVQVAE, inputs: Mapping[str, Tensor], part: str) -> dict[str, Tensor]:
    x, indices = inputs[f"rvq_x_{part}"], inputs[f"rvq_idx_{part}"]
    latent = network.encode_latent(x)
    codes = network.encode(x)
    vectors = network.quantizer.decode(codes).permute(2, 0, 1, 3)
    given = inputs[f"rvq_lat_{part}"].transpose(1, 2)
    alone, alone_codes, _ = network.quantizer(given)
    return {
        "zp": latent.transpose(1, 2), "indices": codes, "map2index": codes, "map2zq": vectors,
        "all_codes": vectors.transpose(2, 3), "map2latent": vectors.sum(dim=0).transpose(1, 2),
        "decode": network.decode(indices), "decode_q3": network.decode(indices[..., :3]),
        "rec_pose": network.decode(codes), "q_indices": alone_codes, "q_codes_sum": alone.transpose(1, 2),
    }  # fmt: skip


def _fgd(network: nn.Module, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {
        "latent64": network.embed(inputs["fgd_x"]),
        "latent60cut": network.embed(inputs["fgd_x60"][:, :32]),
        "latent100cut": network.embed(inputs["fgd_x100"][:, :96]),
        "rec_pose": network(inputs["fgd_x"]),
    }


def _codes(network: nn.Module, inputs: Mapping[str, Tensor], audio: bool, mask: str) -> dict[str, Tensor]:
    batch = {
        "hubert": inputs["hubert"], "rhythm": inputs["beat"], "words": inputs["word"], "sentence": inputs["clip"],
        "speaker": inputs["speaker"].flatten(1)[:, 0],
    }  # fmt: skip
    out = network(batch, inputs["motion"], inputs[mask][None], Passes((0,), (audio,)))
    named = {}
    for part, logits in out.logits.items():
        named[f"cls_{part}"] = logits[0].transpose(2, 3)
        named[f"rec_{part}"] = out.latents[part][0].transpose(1, 2)[:, :, None]
    if hasattr(out, "gate_logits"):
        named["gate"] = out.gate_logits
    else:
        for name, part in (("hubert_cons_loss", "face"), ("beat_cons_loss", "hands")):
            named[name] = _release_consistency(out.rhythmic[part][0], out.speech[part])
    return named


def _release_consistency(motion: Tensor, speech: Tensor) -> Tensor:
    """The reference's InfoNCE, whose softmax runs over the motion axis."""
    return local_consistency(speech, motion)


@torch.no_grad()
def run_network(
    kind: str, network: nn.Module, inputs: Mapping[str, Tensor], audio: bool = True, mask: str = "mask"
) -> dict[str, Tensor]:
    """Outputs of a network under the reference's names and shapes.

    Args:
        kind: See :data:`KINDS`.
        network: Converted, in evaluation mode.
        inputs: ``hubert``, ``beat``, ``word``, ``clip``, ``motion``, ``speaker``, masks, ``rvq_*``, ``global_x``,
            ``fgd_*``.
        audio: Whether the body of base and sparse hears the speech.
        mask: Which input is the mask.
    """
    if kind.startswith("rvq_"):
        return _rvqvae(network, inputs, kind.removeprefix("rvq_"))
    if kind == "global":
        return {"rec_pose": network(inputs["global_x"])}
    return _fgd(network, inputs) if kind == "fgd" else _codes(network, inputs, audio, mask)
