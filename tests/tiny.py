"""What several areas' tests share: tiny networks and batches, and pretrained models written as a user has them."""

import json
import pickle
import sys
import types
from functools import cache
from pathlib import Path

import numpy as np
import torch

from semtalk.generation.rollout import MotionGenerator
from semtalk.models.masking import seed_mask
from semtalk.models.tokenizer import Tokenizer
from semtalk.motion.parts import foot_contact, root_from_translation, rotation_from_poses
from semtalk.motion.skeleton import FEET, PARTS
from semtalk.settings import compose
from semtalk.tasks.phases import build_network


def save_hubert(folder: Path, width: int = 32) -> str:
    from transformers import HubertConfig, HubertModel, Wav2Vec2FeatureExtractor

    torch.manual_seed(0)
    config = HubertConfig(
        hidden_size=width, num_hidden_layers=2, num_attention_heads=4, intermediate_size=48, conv_dim=[16] * 7,
        feat_extract_norm="layer", do_stable_layer_norm=True, conv_bias=True,
    )  # fmt: skip
    HubertModel(config).save_pretrained(folder)
    Wav2Vec2FeatureExtractor(do_normalize=True).save_pretrained(folder)
    return str(folder)


def byte_vocabulary(specials: list[str]) -> dict[str, int]:
    """Every byte as a token of its own, as byte-level BPE begins, with and without the end of a word."""
    from transformers.convert_slow_tokenizer import bytes_to_unicode

    letters = list(bytes_to_unicode().values())
    tokens = letters + [letter + "</w>" for letter in letters] + ["th"] + specials
    return {token: index for index, token in enumerate(tokens)}


def save_clip(folder: Path, width: int = 16, longest: int = 77) -> str:
    from transformers import CLIPTextConfig, CLIPTextModelWithProjection, CLIPTokenizer

    torch.manual_seed(0)
    vocabulary = byte_vocabulary(["<|startoftext|>", "<|endoftext|>"])
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.json").write_text(json.dumps(vocabulary))
    (folder / "merges.txt").write_text("#version: 0.2\nt h\n")
    tokenizer = CLIPTokenizer(vocab=str(folder / "vocab.json"), merges=str(folder / "merges.txt"))
    tokenizer.save_pretrained(folder)
    config = CLIPTextConfig(
        vocab_size=len(vocabulary) + 10, hidden_size=16, intermediate_size=32, num_hidden_layers=2,
        num_attention_heads=2, projection_dim=width, max_position_embeddings=longest,
        bos_token_id=vocabulary["<|startoftext|>"], eos_token_id=vocabulary["<|endoftext|>"],
    )  # fmt: skip
    CLIPTextModelWithProjection(config).save_pretrained(folder)
    return str(folder)


def save_whisper(folder: Path, width: int = 32) -> str:
    from transformers import WhisperConfig, WhisperFeatureExtractor, WhisperModel

    torch.manual_seed(0)
    config = WhisperConfig(
        d_model=width, encoder_layers=2, decoder_layers=1, encoder_attention_heads=2, decoder_attention_heads=2,
        encoder_ffn_dim=48, decoder_ffn_dim=48, vocab_size=60, pad_token_id=0, bos_token_id=1, eos_token_id=2,
        decoder_start_token_id=3,
    )  # fmt: skip
    WhisperModel(config).save_pretrained(folder)
    WhisperFeatureExtractor(feature_size=80).save_pretrained(folder)
    return str(folder)


TINY = [
    "model.network.width=16", "model.network.face_layers=1", "model.network.audio_layers=1", "model.rvqvae.width=16",
    "model.rvqvae.latent=16", "model.rvqvae.codes=8",
]  # fmt: skip


def tiny_batch(batch: int = 3, seed: int = 0) -> tuple[dict, torch.Tensor, torch.Tensor]:
    g = torch.Generator().manual_seed(seed)
    dims = {"rhythm": 3, "hubert": 48, "words": 64}
    features = {name: torch.randn(batch, 64, width, generator=g) for name, width in dims.items()}
    features |= {"sentence": torch.randn(batch, 64, generator=g), "emotion": torch.randn(batch, 32, generator=g)}
    features["speaker"] = torch.arange(batch) % 2
    motion = torch.randn(batch, 64, 337, generator=g)
    masks = torch.stack([seed_mask().expand(batch, -1, -1), (torch.rand(batch, 64, 337, generator=g) < 0.4).float()])
    return features, motion, masks


@cache
def tiny_settings(*overrides: str):
    """Settings of a training with tiny networks."""
    return compose("train", *TINY, *overrides)


def training_batch(batch: int = 3, seed: int = 0) -> dict:
    """Windows as training sees them: true rotations that move evenly, features, and a labelled gesture in each."""
    g = torch.Generator().manual_seed(seed)
    features, _, _ = tiny_batch(batch, seed)
    poses = 0.3 * torch.randn(batch, 1, 55, 3, generator=g) + 0.02 * torch.randn(batch, 64, 55, 3, generator=g).cumsum(
        1
    )
    trans = 0.02 * torch.randn(batch, 64, 3, generator=g).cumsum(1) + torch.tensor([5.0, 1.2, -3.0])
    semantic = (torch.rand(batch, 16, generator=g) * 2 - 1).clamp(min=0)
    feet = trans[:, :, None] + 0.01 * torch.randn(batch, 64, len(FEET), 3, generator=g)
    return features | {
        "rotation": rotation_from_poses(poses), "expressions": torch.randn(batch, 64, 100, generator=g),
        "root": root_from_translation(trans), "trans": trans, "contact": foot_contact(feet), "semantic": semantic,
        "betas": 0.3 * torch.randn(batch, 300, generator=g),
    }  # fmt: skip


def tiny_tokenizer(seed: int = 0, *overrides: str) -> Tokenizer:
    """Untrained RVQ-VAEs whose codes differ."""
    torch.manual_seed(seed)
    settings = tiny_settings(*overrides)
    tokenizer = Tokenizer({part: build_network(f"rvqvae_{part}", settings, 1) for part in PARTS})
    for part in PARTS:
        for level in tokenizer[part].quantizer.levels:
            level.codebook.normal_(std=0.3)
    return tokenizer


def tiny_generator() -> MotionGenerator:
    """Untrained networks that say other codes at other steps."""
    tokenizer, settings = tiny_tokenizer(), tiny_settings()
    torch.manual_seed(0)
    translation, base, sparse = (build_network(phase, settings, 2) for phase in ("translation", "base", "sparse"))
    for net in (base, sparse):
        for head in net.heads.network.further + [net.heads.network.first]:
            head[2].weight.data.mul_(30)  # an untrained network says nearly the same of every code
    sparse.semantics.gate.weight.data.mul_(40)
    return MotionGenerator(tokenizer, translation, base, sparse)


def speech_of_takes(takes: int = 2, frames: int = 184) -> dict[str, torch.Tensor]:
    """Features of whole takes; 184 frames are three windows."""
    g = torch.Generator().manual_seed(1)
    widths = {"rhythm": 3, "hubert": 48, "words": 64}
    rows = {slot: torch.randn(takes, frames, width, generator=g) for slot, width in widths.items()}
    more = {"sentence": 64, "emotion": 32}
    return rows | {slot: torch.randn(takes, frames // 20 + 1, width, generator=g) for slot, width in more.items()}


def speech_of_window(given: dict, first: int) -> dict:
    """Features of the window that begins at a frame."""
    window = {slot: given[slot][:, first : first + 64] for slot in ("rhythm", "hubert", "words")}
    return window | {slot: given[slot][:, first // 20] for slot in ("sentence", "emotion")}


def voice(seconds: float, seed: int = 0) -> np.ndarray:
    wave = np.random.default_rng(seed).normal(size=int(16000 * seconds)).astype(np.float32)
    return 0.1 * wave * np.sin(np.arange(len(wave)) / 16000 * 9) ** 2


def write_vocabulary(path, words, vectors=None, name="Vocab"):
    """A pickle of an instance of a class that does not exist where it is read."""
    module = types.ModuleType("some_loader")
    setattr(module, name, type(name, (), {"__module__": "some_loader"}))
    sys.modules["some_loader"] = module
    try:
        vocabulary = getattr(module, name)()
        vocabulary.name = "words"
        vocabulary.word2index = {word: index for index, word in enumerate(words, start=4)}
        vocabulary.index2word = {0: "PAD", 1: "SOS", 2: "EOS", 3: "UNK"}
        vocabulary.n_words = len(words) + 4
        vocabulary.word_embedding_weights = vectors
        path.write_bytes(pickle.dumps(vocabulary))
    finally:
        del sys.modules["some_loader"]
