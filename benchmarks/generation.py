"""Generation at the paper's sizes from features on: one take, several at once, and streamed."""

import statistics
import time
from functools import partial

import torch
from torch import Tensor

from benchmarks.common import PAPER, alternate, device, record
from benchmarks.literal import part_by_part, rollout
from semtalk.features.extract import WINDOW_SLOTS, feature_dims
from semtalk.generation.rollout import MotionGenerator
from semtalk.generation.seams import NEW_FRAMES, padded_frames
from semtalk.generation.stream import WindowStream
from semtalk.models.fusion import semantic_score
from semtalk.models.tokenizer import Tokenizer
from semtalk.motion.skeleton import FPS, PARTS, SEED_FRAMES
from semtalk.settings import compose
from semtalk.settings.commands import Command
from semtalk.settings.inputs import Features
from semtalk.tasks.phases import build_network

SECONDS = 60
TAKES = 16
SHORT = 8
"""Seconds of each of many takes."""
STRIDE = 20


def networks(settings: Command) -> MotionGenerator:
    """Untrained networks of the paper's sizes; codebooks spread, so that codes decode to different motion."""
    torch.manual_seed(0)
    tokenizer = Tokenizer({part: build_network(f"rvqvae_{part}", settings, 25) for part in PARTS})
    for part in PARTS:
        for level in tokenizer[part].quantizer.levels:
            level.codebook.normal_()
    return MotionGenerator(
        tokenizer, *(build_network(phase, settings, 25) for phase in ("translation", "base", "sparse"))
    ).to(device())


def speech(features: Features, takes: int, seconds: float) -> tuple[dict[str, Tensor], Tensor]:
    """Random values of the features, and speakers, of some takes."""
    frames = padded_frames(int(seconds * FPS))
    values = {
        slot: torch.randn(takes, frames // STRIDE if slot in WINDOW_SLOTS else frames, width).to(device())
        for slot, width in feature_dims(features).items()
    }
    return values, torch.zeros(takes, dtype=torch.long, device=device())


def threshold(generator: MotionGenerator, features: dict[str, Tensor], share: float) -> float:
    """Beta that a step passes in a share of the windows."""
    with torch.no_grad():
        windows = generator.speech_of_windows(features, STRIDE, ("sparse",))
        gates = [speech["sparse"].gate_logits for speech in windows]
    peaks = torch.cat([semantic_score(gate).amax(dim=1) for gate in gates]).sort().values
    return 1.0 if share == 0 else float(peaks[round((1 - share) * len(peaks))]) - 1e-6


def generate() -> None:
    """60 s of one take with no, 30% and all windows that ask for sparse codes; many takes at once; a stream."""
    settings = compose("train", *PAPER)
    generator = networks(settings)
    features, speaker = speech(settings.features, 1, SECONDS)
    beta = {share: threshold(generator, features, share) for share in (0, 0.3, 1)}
    literal = part_by_part(networks(settings))
    times = alternate(
        {
            **{f"fast {s:.0%}": partial(generator.rollout, features, speaker, STRIDE, b) for s, b in beta.items()},
            "literal": partial(rollout, literal, features, speaker, STRIDE, beta[0.3]),
        },
        3,
        keep=False,
    )
    many, speakers = speech(settings.features, TAKES, SHORT)
    at = {share: threshold(generator, many, share) for share in (0, 0.3, 1)}
    one = {name: value[:1] for name, value in many.items()}
    groups = alternate(
        {
            **{f"fast {s:.0%}": partial(generator.rollout, many, speakers, STRIDE, b) for s, b in at.items()},
            "fast, one": partial(generator.rollout, one, speakers[:1], STRIDE, at[1]),
            "literal": partial(rollout, literal, one, speakers[:1], STRIDE, at[0.3]),
        },
        3,
        keep=False,
    )
    stream = streamed(generator, features, speaker, beta[1])
    del literal
    generator.in_bf16()
    half = alternate(
        {
            "fast 0%": partial(generator.rollout, features, speaker, STRIDE, beta[0]),
            "fast 30%": partial(generator.rollout, features, speaker, STRIDE, beta[0.3]),
            "fast 100%": partial(generator.rollout, features, speaker, STRIDE, beta[1]),
            "fast many": partial(generator.rollout, many, speakers, STRIDE, at[0.3]),
        },
        3,
        keep=False,
    )
    numbers = {f"seconds for {SECONDS} s, {share:.0%} open": times[f"fast {share:.0%}"] for share in beta}
    numbers |= {f"seconds for {SECONDS} s, literal": times["literal"]}
    numbers |= {f"ratio, {share:.0%} open": times["literal"] / times[f"fast {share:.0%}"] for share in beta}
    numbers |= {"seconds wanted": 2.5, "takes at once": TAKES, "seconds of each": SHORT}
    numbers |= {
        f"throughput over literal takes one by one, {s:.0%} open": TAKES * groups["literal"] / groups[f"fast {s:.0%}"]
        for s in at
    }
    numbers |= {"throughput over own takes one by one, 100% open": TAKES * groups["fast, one"] / groups["fast 100%"]}
    numbers |= {f"times real time, takes at once, {s:.0%} open": TAKES * SHORT / groups[f"fast {s:.0%}"] for s in at}
    numbers |= {f"bf16, seconds for {SECONDS} s, {share:.0%} open": half[f"fast {share:.0%}"] for share in beta}
    numbers |= {"bf16, times real time, takes at once, 30% open": TAKES * SHORT / half["fast many"]}
    record("generate", numbers | stream)


def streamed(generator: MotionGenerator, features: dict[str, Tensor], speaker: Tensor, beta: float) -> dict[str, float]:
    """Compute time of a stream's windows, with and without look-ahead."""
    numbers = {}
    for name, lookahead in (("exact", None), ("lookahead=0", 0)):
        options = {} if lookahead is None else {"lookahead": lookahead}
        stream = WindowStream(generator, speaker, beta=beta, **options)
        times = []
        for first in range(0, features["rhythm"].shape[1] - SEED_FRAMES, NEW_FRAMES):
            window = generator.features_of(features, first, STRIDE)
            began = time.perf_counter()
            frames, _ = stream.push(window)
            frames.rotation.cpu()
            times.append(time.perf_counter() - began)
        second = NEW_FRAMES / FPS
        numbers[f"stream, {name}: compute seconds a second of audio"] = statistics.median(times[2:]) / second
        numbers[f"stream, {name}: longest window, seconds"] = max(times[2:])
        numbers[f"stream, {name}: delay, seconds"] = (64 + 4 * stream.lookahead) / FPS
    return numbers
