"""The three commands. Heavy imports wait until the configuration is known to be sound."""

import sys
from pathlib import Path

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from semtalk.errors import SemTalkError


def command(function, config: DictConfig) -> None:
    """Run a command; what the user should mend is one sentence on stderr, and exit code 1."""
    try:
        plain = OmegaConf.to_container(config, resolve=True, throw_on_missing=True)
        function(plain)
    except (SemTalkError, OmegaConfBaseException) as error:
        sys.exit(f"error: {error}")


def run_dir(config: dict) -> Path:
    """Folder that all stages of a run share: ``ckpt`` where it is given."""
    return Path(config.get("ckpt") or Path(config["runs_dir"]) / config["name"])


def open_corpus(data: dict):
    """Build the reader that a data configuration names."""
    from semtalk.data.beat2 import BEAT2Corpus
    from semtalk.data.sample import SampleCorpus

    readers = {"beat2": BEAT2Corpus, "sample": SampleCorpus}
    options = {key: value for key, value in data.items() if key not in ("reader", "store")}
    if data["reader"] not in readers:
        raise SemTalkError(f"data.reader={data['reader']}: choose one of {', '.join(readers)}.")
    return readers[data["reader"]](**options)


def open_store(config: dict, corpus, body):
    """Prepare the corpus, or open what is prepared."""
    from semtalk.data.store import prepare

    return prepare(corpus, config["features"], body, config["data"]["store"], config["strict"])


def train(config: dict) -> None:
    """Train the phases of a stage."""
    unknown = set(config["parts"]) - {"face", "upper", "hands", "lower"}
    if unknown or not config["parts"]:
        raise SemTalkError(f"parts={config['parts']}: choose among face, upper, hands, lower.")
    if config["recipe"]["stride"] % config["features"]["stride"]:
        raise SemTalkError("recipe.stride must be a multiple of features.stride, where window features are kept.")
    corpus = open_corpus(config["data"])

    from rich.console import Console
    from rich.table import Table

    from semtalk.body import load_body
    from semtalk.data.store import joint_speed
    from semtalk.tasks.fit import fit_phase

    body = load_body(config["body"]["path"])
    store = open_store(config, corpus, body)
    speed = corpus.mean_joint_speed()
    speed = joint_speed(store.split("train"), body) if speed is None else speed
    meta = {"speakers": store.speakers, "mean_joint_speed": [float(value) for value in speed], "body": body.name}
    phases = []
    for phase in config["stage"]["phases"]:
        phases += [f"rvqvae_{part}" for part in config["parts"]] if phase == "rvqvae" else [phase]
    table = Table("phase", "steps", "minutes", "validation", title=f"Trained {run_dir(config)}")
    console = Console()
    for phase in phases:
        console.print(f"[bold]{phase}[/bold]")
        row = fit_phase(phase, config, store, run_dir(config), meta, body)
        numbers = ", ".join(f"{name} {value:.4g}" for name, value in row["validation"].items())
        table.add_row(phase, str(row["steps"]), f"{row['seconds'] / 60:.1f}", numbers)
    console.print(table)
    if config["logger"]["name"] == "wandb" and "sparse" in phases:
        chosen = {"split": "val", "beta": 0.5, "gate": "learned", "tag": None, "video": True, "video_seconds": 10}
        evaluate(config | chosen)


def pick_device(accelerator: str):
    """The device of ``trainer.accelerator``."""
    import torch

    if accelerator in ("gpu", "cuda") and not torch.cuda.is_available():
        raise SemTalkError("trainer.accelerator=gpu: there is no GPU here; use trainer=cpu or trainer=auto.")
    return torch.device("cuda" if accelerator != "cpu" and torch.cuda.is_available() else "cpu")


def evaluate(config: dict) -> None:
    """Evaluate a run on a split: print the tables, write metrics, and the npz and the video of one take."""
    from semtalk.data.recording import SPLITS
    from semtalk.tasks.checkpoint import checkpoint_path, load_checkpoint

    if config["split"] not in SPLITS:
        raise SemTalkError(f"split={config['split']}: choose one of {', '.join(SPLITS)}.")
    folder = run_dir(config)
    load_checkpoint(checkpoint_path(folder, "fgd"), "fgd")
    corpus = open_corpus(config["data"])

    from semtalk.body import load_body
    from semtalk.evaluation.evaluate import evaluate_run
    from semtalk.evaluation.report import log_wandb, print_result, write_result
    from semtalk.evaluation.takes import most_gestured

    body = load_body(config["body"]["path"])
    device = pick_device(config["trainer"]["accelerator"])
    result, per_take, takes = evaluate_run(config, folder, open_store(config, corpus, body), body, device)
    print_result(result)
    output = folder / "eval" / "_".join(filter(None, (config["split"], config["tag"])))
    paths = write_result(result, per_take, output)
    paths += _draw_take(most_gestured(takes, config["video_seconds"]), config, output)
    if config["logger"]["name"] == "wandb":
        video = next((path for path in paths if path.suffix == ".mp4"), None)
        log_wandb(result, video, config["logger"], config["name"], output)
    print("\n".join(str(path) for path in paths))


def _draw_take(take, config: dict, output: Path) -> list[Path]:
    """Write the generated take as npz and, if wished, its video beside the truth."""
    from semtalk.motion.io import Motion, save_motion
    from semtalk.motion.parts import poses_from_rotation
    from semtalk.viz.video import Scene, write_video

    def motion(row: str) -> Motion:
        poses = poses_from_rotation(take.rotation[row])
        arrays = (poses, take.expressions[row], take.trans[row], take.recording["betas"])
        return Motion(*(array.numpy() for array in arrays))

    path = output / f"{take.recording.id}.npz"
    save_motion(path, motion("fused"))
    if not config["video"]:
        return [path]
    keywords = [(keyword or label, start, end) for label, start, end, _, keyword in take.recording.info["keywords"]]
    scene = Scene(
        {"ground truth": motion("truth"), "generated": motion("fused")},
        take.recording["wave"].numpy(), take.psi.numpy(), config["beta"], keywords,
    )  # fmt: skip
    return [path, *write_video(scene, path.with_suffix(".mp4"), config["video_seconds"])]


def generate(config: dict) -> None:
    """Turn a voice recording into motion: an npz and a video."""
    if config["audio"] is None:
        raise SemTalkError("audio is not set: give a voice recording, as in `python generate.py audio=FILE.wav`.")
    import numpy as np

    from semtalk.data.beat2 import read_textgrid
    from semtalk.data.recording import load_audio
    from semtalk.motion.skeleton import FPS, NUM_BETAS, SAMPLE_RATE

    wave = load_audio(config["audio"])
    words = read_textgrid(Path(config["transcript"])) if config["transcript"] else []
    if not words:
        print("No transcript: the words are unknown, so gestures follow the voice alone (transcript=FILE.TextGrid).")
    if not np.abs(wave).max():
        print(f"{config['audio']} is silent.")

    from functools import partial

    from rich.progress import track

    from semtalk.generation.rollout import load_generator
    from semtalk.generation.speech import encode_speech
    from semtalk.motion.io import save_motion
    from semtalk.viz.video import Scene, write_video

    generator, stamped = load_generator(run_dir(config))
    speakers = stamped["meta"]["speakers"]
    speaker = speakers[0] if config["speaker"] is None else config["speaker"]
    if speaker not in speakers:
        raise SemTalkError(f"speaker={speaker}: the run knows the speakers {speakers}.")
    frames = max(1, len(wave) * FPS // SAMPLE_RATE)
    device = pick_device(config["trainer"]["accelerator"])
    features, index = encode_speech(wave, words, frames, stamped["config"]["features"], speakers.index(speaker), device)
    rollout = generator.to(device).rollout(
        features, index, stamped["config"]["features"]["stride"], beta=config["beta"], gate=config["gate"],
        progress=partial(track, description="Generating"),
    )  # fmt: skip
    motion = rollout.motion(0, frames, np.zeros(NUM_BETAS))
    path = Path(config["out"] or run_dir(config) / "generated") / f"{Path(config['audio']).stem}.npz"
    save_motion(path, motion)
    paths = [path]
    if config["video"]:
        scene = Scene({"generated": motion}, wave, rollout.psi[0].cpu().numpy(), config["beta"])
        paths += write_video(scene, path.with_suffix(".mp4"))
    print(f"{frames} frames ({frames / FPS:.1f} s) as speaker {speaker}")
    print("\n".join(str(path) for path in paths))
