"""What each piece of the recipe brings: ``python -m benchmarks ablate_base ablate_rvqvae [OPTION=VALUE ...]``.

Corpus, ``seeds``, ``runs_dir`` and ``reuse`` are those of :mod:`benchmarks.real_speech`. For every seed RVQ-VAEs,
translation network and a plain base are trained once (``runs_dir=DIR reuse=true`` takes those of ``real_speech``); base
is trained anew for each row of :data:`BASE_ROWS` and heard alone, without the sparse network.
"""

import shutil
import statistics
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from rich.table import Table

from benchmarks.common import RESULTS, append, console, in_a_sentence
from benchmarks.real_speech import PROTOCOL, Options, seed_settings, train_phases
from benchmarks.speech_report import cell
from semtalk.body import BodyModel, load_body
from semtalk.body.base import forward_kinematics
from semtalk.data.open import open_corpus, open_store
from semtalk.data.store import Store
from semtalk.evaluation.hearing import hearing
from semtalk.evaluation.protocol import find_protocol
from semtalk.evaluation.takes import TakeMaker, add_mean_pose
from semtalk.generation.load import decoding_of
from semtalk.generation.rollout import MotionGenerator
from semtalk.metrics import hearing as H
from semtalk.models.decoding import LIKELIEST, Decoding
from semtalk.motion.parts import batch_frames, merge_parts, part_channels, rotation_error
from semtalk.motion.rotation import rotation_6d_to_matrix
from semtalk.motion.skeleton import DOWNSAMPLE, PARTS
from semtalk.run import run_dir
from semtalk.settings.commands import Command, TrainSettings
from semtalk.tasks.checkpoint import load_network, load_tokenizer
from semtalk.tasks.phases import RVQVAE_PHASES

PLAIN = "as it is"
SUMMED = "checkpoint of the lowest summed loss"
BASE_ROWS = {
    "features as they are": ("model.standardise=false", "features.noise=0"),
    "no noise on features": ("features.noise=0",),
    "no direct path": ("model.network.local_layers=0",),
    "no dropout in the direct path": ("model.network.local_dropout=0",),
    "hard code targets": ("recipe.base.softness=0",),
    SUMMED: ("recipe.base.select=loss",),
    "all passes, hiding joints and frames": ("recipe.base.passes=3",),
    "all passes, hiding cells": ("recipe.base.passes=3", "recipe.base.mask.hides=cells"),
}
"""Row -> what is changed."""
READ_ROWS = {"the last weights": ("last", None), "likeliest codes": ("best", LIKELIEST)}
"""Rows of :data:`PLAIN` that are read otherwise -> checkpoint, decoding (by default the recipe's)."""
HEARD = ("jaw_r", "jaw_amplitude", "expressions_r", "expressions_amplitude", "expressions_share")
LIVELY = ("upper_error", "hands_error", "speed", "acceleration")
RVQVAE_ROWS = {
    PLAIN: (),
    "no linear path": ("model.rvqvae.linear=0",),
    "no averaging of frames": ("model.rvqvae.smoothing=0",),
    "no noise on latents": ("model.rvqvae.noise=0",),
    "velocity weighs 1": ("recipe.rvqvae.losses.velocity=1",),
    "windows are not shifted": ("recipe.rvqvae.shift=false",),
    "none of these": (
        "model.rvqvae.linear=0", "model.rvqvae.smoothing=0", "model.rvqvae.noise=0",
        "recipe.rvqvae.losses.velocity=1", "recipe.rvqvae.shift=false",
    ),
}  # fmt: skip
MOVING = ("upper", "hands")
"""Parts whose RVQ-VAEs are compared."""
SPLITS = ("val", "test")


def slug(row: str) -> str:
    """A row's name as a folder."""
    return row.replace(" ", "_")


def row_settings(options: Options, runs: Path, seed: int, row: str, *changes: str) -> TrainSettings:
    """Settings of a row's training, in a folder of its own."""
    return seed_settings(options, runs, seed, *changes, f"runs_dir={runs / slug(row)}")


def corpus_of(settings: Command) -> tuple[Store, BodyModel]:
    """The prepared corpus, and the body that measures it."""
    body = load_body(settings.body.path, settings.body.model)
    return open_store(settings, open_corpus(settings.data), body), body


def heard_numbers(
    settings: TrainSettings, store: Store, body: BodyModel, name: str, decoding: Decoding
) -> dict[str, float]:
    """What is heard by a checkpoint of base on each split, as ``SPLIT/NUMBER``."""
    folder = run_dir(settings)
    base, stamp = load_network(folder, "base", name)
    translation, _ = load_network(folder, "translation")
    generator = MotionGenerator(load_tokenizer(folder), translation, base, decoding=decoding)
    counted = find_protocol(PROTOCOL).counted
    maker = TakeMaker(generator, stamp.facts.speakers, settings.features.stride, counted=counted)
    numbers = {}
    for split in SPLITS:
        takes, _ = maker.takes(store.split(split), progress=lambda windows: windows)
        add_mean_pose(takes, store.split("train"))
        found, mean = (hearing(takes, row, body) for row in ("base", "mean"))
        found["expressions_share"] = found["expressions_mse"] / mean["expressions_mse"]
        numbers |= {f"{split}/{key}": found[key] for key in (*HEARD, *LIVELY)}
    return numbers


def base_rows(options: Options, runs: Path, seed: int) -> dict[str, dict[str, float]]:
    """Train base for every row of a seed, and measure it."""
    plain = seed_settings(options, runs, seed, "stage.phases=[rvqvae,translation,base]")
    train_phases(plain, options.reuse)
    store, body = corpus_of(plain)
    decoding = decoding_of(plain.recipe.decoding)
    rows = {PLAIN: heard_numbers(plain, store, body, "best", decoding)}
    for row, (checkpoint, way) in READ_ROWS.items():
        rows[row] = heard_numbers(plain, store, body, checkpoint, way or decoding)
    for row, changes in BASE_ROWS.items():
        changed = row_settings(options, runs, seed, row, "stage.phases=[base]", *changes)
        for phase in (*RVQVAE_PHASES, "translation"):
            shutil.copytree(run_dir(plain) / phase, run_dir(changed) / phase, dirs_exist_ok=True)
        train_phases(changed, options.reuse)
        rows[row] = heard_numbers(changed, store, body, "best", decoding)
    return rows


def joints_of(channels: torch.Tensor, part: str, body: BodyModel) -> torch.Tensor:
    """A part's joints (T, J, 3) in metres, from its channels (T, D), all other joints at rest."""
    rotations = rotation_6d_to_matrix(merge_parts({part: channels}).rotation)
    return forward_kinematics(rotations, body.rest_joints(torch.zeros(300)))[:, list(PARTS[part].joints)]


@torch.no_grad()
def reconstruction_numbers(network, store: Store, part: str, body: BodyModel) -> dict[str, float]:
    """Error and liveliness of what an RVQ-VAE gives back of whole takes, as ``SPLIT/NUMBER``."""
    numbers = {}
    for split in SPLITS:
        degrees, own, true = [], [], []
        for recording in store.split(split):
            channels = part_channels(batch_frames(recording), PARTS[part])
            channels = channels[: len(channels) // DOWNSAMPLE * DOWNSAMPLE]
            back = network.eval()(channels[None])[0][0]
            degrees.append(rotation_error(back, channels, PARTS[part]).mean().item())
            own.append(joints_of(back, part, body).numpy())
            true.append(joints_of(channels, part, body).numpy())
        numbers |= {
            f"{split}/{part}_degrees": statistics.fmean(degrees),
            f"{split}/{part}_speed": H.mean_speed(own) / H.mean_speed(true),
            f"{split}/{part}_acceleration": H.mean_acceleration(own) / H.mean_acceleration(true),
        }
    return numbers


def rvqvae_rows(options: Options, runs: Path, seed: int) -> dict[str, dict[str, float]]:
    """Train the RVQ-VAEs of upper body and hands for every row of a seed, and measure them."""
    rows = {}
    for row, changes in RVQVAE_ROWS.items():
        moving = ("stage.phases=[rvqvae]", f"parts=[{','.join(MOVING)}]")
        settings = row_settings(options, runs / "rvqvae", seed, row, *moving, *changes)
        train_phases(settings, options.reuse)
        store, body = corpus_of(settings)
        rows[row] = {}
        for part in MOVING:
            network, _ = load_network(run_dir(settings), f"rvqvae_{part}")
            rows[row] |= reconstruction_numbers(network, store, part, body)
    return rows


def show_rows(title: str, seeds: list[dict[str, dict[str, float]]]) -> None:
    """A line for each row, a column for each number of each split; the deviation over seeds behind the mean."""
    columns = list(next(iter(seeds[0].values())))
    table = Table("", *columns, title=title)
    for row in seeds[0]:
        table.add_row(row, *(cell([numbers[row][name] for numbers in seeds]) for name in columns))
    console.print(table)


@in_a_sentence()
def _run(name: str, measure: Callable, *words: str) -> None:
    options = Options.of(words)
    with tempfile.TemporaryDirectory() as folder:
        runs = Path(options.runs_dir or folder).resolve()
        seeds = [measure(options, runs, seed) for seed in range(options.seeds)]
        settings = seed_settings(options, runs, 0)
    facts = {"overrides": options.recorded, "features": settings.features.name, "corpus": settings.data.name}
    show_rows(f"{settings.data.name}, features {settings.features.name}, {options.seeds} seeds", seeds)
    append(RESULTS / f"{name}.json", {**facts, "seeds": seeds})


ablate_base = partial(_run, "ablate_base", base_rows)
ablate_rvqvae = partial(_run, "ablate_rvqvae", rvqvae_rows)
