"""What each piece of the recipe brings: ``python -m benchmarks ablate_base ablate_rvqvae [OPTION=VALUE ...]``.

Corpus, ``seeds``, ``runs_dir`` and ``reuse`` are those of :mod:`benchmarks.real_speech`. For every seed RVQ-VAEs,
translation network and a plain base are trained once (``runs_dir=DIR reuse=true`` takes those of ``real_speech``); base
is trained anew for each row of :data:`BASE_ROWS` and heard alone, without the sparse network.
"""

import shutil
import statistics
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from unittest.mock import patch

import torch
from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException
from rich.table import Table

from benchmarks.common import RESULTS, append, console
from benchmarks.real_speech import PROTOCOL, Options, seed_config, train_phases
from benchmarks.speech_report import cell
from semtalk.body import BodyModel, load_body
from semtalk.body.base import forward_kinematics
from semtalk.corpora import open_corpus, open_store
from semtalk.data.store import Store
from semtalk.errors import SemTalkError
from semtalk.evaluation.hearing import hearing
from semtalk.evaluation.protocol import find_protocol
from semtalk.evaluation.takes import add_mean_pose, generate_takes
from semtalk.generation.rollout import Generator
from semtalk.metrics import hearing as H
from semtalk.models.decoding import LIKELIEST, Decoding
from semtalk.motion.parts import merge_parts, part_channels
from semtalk.motion.rotation import rotation_6d_to_matrix
from semtalk.motion.skeleton import DOWNSAMPLE, PARTS
from semtalk.run import run_dir
from semtalk.tasks.checkpoint import load_network, load_tokenizer
from semtalk.tasks.motion import batch_frames, rotation_error
from semtalk.tasks.phases import RVQVAE_PHASES, build_network
from semtalk.tasks.semtalk import BaseTask

PLAIN = "as it is"
SUMMED = "checkpoint of the lowest summed loss"
BASE_ROWS = {
    "features as they are": ("model.standardise=false", "features.noise=0"),
    "no noise on features": ("features.noise=0",),
    "no direct path": ("model.network.local_layers=0",),
    "no dropout in the direct path": ("model.network.local_dropout=0",),
    "hard code targets": ("recipe.base.softness=0",),
    SUMMED: (),
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


def row_config(options: Options, runs: Path, seed: int, row: str, changes: tuple[str, ...]) -> dict:
    """The training configuration of a row, in a folder of its own."""
    changed = Options(overrides=(*options.overrides, *changes))
    config = seed_config(changed, runs, seed)
    return config | {"runs_dir": str(runs / slug(row))}


def only(config: dict, *phases: str) -> dict:
    """The configuration with these phases alone."""
    return config | {"stage": {**config["stage"], "phases": list(phases)}}


def corpus_of(config: dict) -> tuple[Store, BodyModel]:
    """The prepared corpus, and the body that measures it."""
    body = load_body(config["body"]["path"])
    return open_store(config, open_corpus(config["data"]), body), body


def heard_numbers(config: dict, store: Store, body: BodyModel, name: str, decoding: Decoding) -> dict[str, float]:
    """What is heard by a checkpoint of base on each split, as ``SPLIT/NUMBER``."""
    folder = run_dir(config)
    base, stamped = load_network(folder, "base", name)
    unasked = build_network("sparse", config, len(stamped["meta"]["speakers"]))
    networks = (load_tokenizer(folder), load_network(folder, "translation")[0], base, unasked)
    generator = Generator(*networks, decoding)
    numbers = {}
    for split in SPLITS:
        takes, _ = generate_takes(
            generator, store.split(split), stamped["meta"], config["features"]["stride"], 0.5, "never",
            progress=lambda windows: windows, counted=find_protocol(PROTOCOL).counted,
        )  # fmt: skip
        add_mean_pose(takes, store.split("train"))
        found, mean = (hearing(takes, row, body) for row in ("base", "mean"))
        found["expressions_share"] = found["expressions_mse"] / mean["expressions_mse"]
        numbers |= {f"{split}/{key}": found[key] for key in (*HEARD, *LIVELY)}
    return numbers


def base_rows(options: Options, runs: Path, seed: int) -> dict[str, dict[str, float]]:
    """Train base for every row of a seed, and measure it."""
    plain = seed_config(options, runs, seed)
    train_phases(only(plain, "rvqvae", "translation", "base"), options.reuse)
    store, body = corpus_of(plain)
    decoding = Decoding(**plain["recipe"]["decoding"])
    rows = {PLAIN: heard_numbers(plain, store, body, "best", decoding)}
    for row, (checkpoint, way) in READ_ROWS.items():
        rows[row] = heard_numbers(plain, store, body, checkpoint, way or decoding)
    for row, changes in BASE_ROWS.items():
        config = row_config(options, runs, seed, row, changes)
        for phase in (*RVQVAE_PHASES, "translation"):
            shutil.copytree(run_dir(plain) / phase, run_dir(config) / phase, dirs_exist_ok=True)
        with patch.object(BaseTask, "monitor", "val/loss" if row == SUMMED else BaseTask.monitor):
            train_phases(only(config, "base"), options.reuse)
        rows[row] = heard_numbers(config, store, body, "best", decoding)
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
        config = row_config(options, runs / "rvqvae", seed, row, changes) | {"parts": list(MOVING)}
        train_phases(only(config, "rvqvae"), options.reuse)
        store, body = corpus_of(config)
        rows[row] = {}
        for part in MOVING:
            network, _ = load_network(run_dir(config), f"rvqvae_{part}")
            rows[row] |= reconstruction_numbers(network, store, part, body)
    return rows


def show_rows(title: str, seeds: list[dict[str, dict[str, float]]]) -> None:
    """A line for each row, a column for each number of each split; the deviation over seeds behind the mean."""
    columns = list(next(iter(seeds[0].values())))
    table = Table("", *columns, title=title)
    for row in seeds[0]:
        table.add_row(row, *(cell([numbers[row][name] for numbers in seeds]) for name in columns))
    console.print(table)


def _run(name: str, measure: Callable, *words: str) -> None:
    try:
        options = Options.of(words)
        with tempfile.TemporaryDirectory() as folder:
            runs = Path(options.runs_dir or folder).resolve()
            seeds = [measure(options, runs, seed) for seed in range(options.seeds)]
            config = seed_config(options, runs, 0)
    except (SemTalkError, HydraException, OmegaConfBaseException) as error:
        sys.exit(f"error: {error}")
    show_rows(f"{config['data']['name']}, features {config['features']['name']}, {options.seeds} seeds", seeds)
    facts = {
        "overrides": options.recorded,
        "features": config["features"]["name"], "corpus": config["data"]["name"],
    }  # fmt: skip
    append(RESULTS / f"{name}.json", {**facts, "seeds": seeds})


ablate_base = partial(_run, "ablate_base", base_rows)
ablate_rvqvae = partial(_run, "ablate_rvqvae", rvqvae_rows)
