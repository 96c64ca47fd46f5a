"""The three commands. Heavy imports wait until the configuration is known to be sound."""

import errno
import sys
from pathlib import Path

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from semtalk.corpora import open_corpus, open_store
from semtalk.errors import SemTalkError


def command(function, name: str, config: DictConfig) -> None:
    """Run a command with the configuration of ``configs/NAME.yaml``.

    What the user should mend is one sentence on stderr, and exit code 1.
    """
    try:
        plain = OmegaConf.to_container(config, resolve=True, throw_on_missing=True)
        from semtalk.settings import settings_of

        settings_of(name, plain)
        function(plain)
    except (SemTalkError, OmegaConfBaseException) as error:
        sys.exit(f"error: {error}")
    except OSError as error:
        if error.filename is None and error.errno != errno.ENOSPC:
            raise
        sys.exit(f"error: {error.filename or 'the disk'}: {error.strerror}; nothing half-written is left.")


def run_dir(config: dict) -> Path:
    """Folder that all stages of a run share: ``ckpt`` where it is given."""
    return Path(config.get("ckpt") or Path(config["runs_dir"]) / config["name"])


def initial_meta(init: str | None) -> dict:
    """Facts in the checkpoints of the run that training starts from; nothing without one."""
    if init is None:
        return {}
    from semtalk.tasks.checkpoint import checkpoint_path, load_checkpoint
    from semtalk.tasks.phases import PHASES

    for phase in PHASES:
        if checkpoint_path(init, phase).is_file():
            return load_checkpoint(checkpoint_path(init, phase), phase)["semtalk"]["meta"]
    raise SemTalkError(f"init={init}: there is no checkpoint here; give the folder of a run, as in runs/NAME.")


def train(config: dict) -> None:
    """Train the phases of a stage."""
    phases = []
    for phase in config["stage"]["phases"]:
        phases += [f"rvqvae_{part}" for part in config["parts"]] if phase == "rvqvae" else [phase]
    if config["dry_run"]:
        return plan(config, phases)
    known = initial_meta(config["init"])
    corpus = open_corpus(config["data"])

    from rich.console import Console
    from rich.table import Table

    from semtalk.body import load_body
    from semtalk.data.store import mean_joint_speed
    from semtalk.tasks.fit import fit_phase

    body = load_body(config["body"]["path"])
    store = open_store(config, corpus, body)
    store.know_speakers(known.get("speakers"))
    speed, _ = mean_joint_speed(store, corpus, body)
    meta = {
        "speakers": store.speakers, "mean_joint_speed": [float(value) for value in speed], "body": body.name,
        "generation": known.get("generation", "default"), "notes": corpus.notes,
    }  # fmt: skip
    for note in corpus.notes:
        print(note)
    table = Table("phase", "steps", "minutes", "validation", title=f"Trained {run_dir(config)}")
    console = Console()
    for phase in phases:
        console.print(f"[bold]{phase}[/bold]")
        row = fit_phase(phase, config, store, run_dir(config), meta, body)
        numbers = ", ".join(f"{name} {value:.4g}" for name, value in row["validation"].items())
        table.add_row(phase, str(row["steps"]), f"{row['seconds'] / 60:.1f}", numbers)
    console.print(table)
    if config["logger"]["name"] == "wandb" and "sparse" in phases:
        chosen = {"split": "val", "beta": 0.5, "gate": "learned", "generation": "auto", "tag": None}
        chosen |= {"video": True, "video_seconds": 10, "protocol": "legacy", "metrics": "main", "out": None}
        chosen |= {"decoding": {}, "samples": 1}
        _evaluate_run(config | chosen)


def plan(config: dict, phases: list[str]) -> None:
    """Print what a training would do."""
    try:
        corpus = open_corpus(config["data"])
    except SemTalkError as error:
        corpus = error
    from semtalk.body import load_body
    from semtalk.tasks.dry_run import print_plan

    print_plan(config, phases, corpus, load_body(config["body"]["path"]))


def evaluate(config: dict) -> None:
    """Evaluate a run, or a folder of motion files, or compare evaluations; print the tables and write the numbers."""
    if config["compare"]:
        return _compare(config)
    if config["motions"]:
        return _evaluate_folder(config)
    _evaluate_run(config)


def _compare(config: dict) -> None:
    from semtalk.evaluation.compare import compare
    from semtalk.evaluation.report import print_comparison

    split = "_".join(filter(None, (config["split"], config["tag"])))
    comparison = compare(config["compare"], split, config["seed"])
    print_comparison(comparison, Path(config["out"] or Path(config["runs_dir"]) / "compare"))


def _evaluate_folder(config: dict) -> None:
    from semtalk.body import load_body
    from semtalk.evaluation.evaluate import evaluate_folder
    from semtalk.evaluation.report import print_result, write_result

    result, measured = evaluate_folder(config, load_body(config["body"]["path"]))
    print_result(result)
    paths = write_result(result, measured, Path(config["out"] or Path(config["motions"]) / "eval"))
    print("\n".join(str(path) for path in paths))


def _evaluate_run(config: dict) -> None:
    from semtalk.generation.load import located
    from semtalk.tasks.checkpoint import checkpoint_path, load_checkpoint

    folder = run_dir(config)
    load_checkpoint(checkpoint_path(folder, "fgd"), "fgd")
    stamped = load_checkpoint(checkpoint_path(folder, "sparse"), "sparse")["semtalk"]
    config = config | {"features": located(stamped["config"]["features"], folder)}
    if config["features"]["name"] != "offline":
        print(f"features={config['features']['name']}: those that the run was trained with.")
    corpus = open_corpus(config["data"])

    from semtalk.body import load_body
    from semtalk.data.store import mean_joint_speed
    from semtalk.evaluation.evaluate import evaluate_run
    from semtalk.evaluation.report import log_wandb, print_result, write_result
    from semtalk.evaluation.takes import most_gestured
    from semtalk.tasks.speed import trainer_device

    body = load_body(config["body"]["path"])
    device = trainer_device(config["trainer"]["accelerator"])
    store = open_store(config, corpus, body)
    speed, source = mean_joint_speed(store, corpus, body)
    result, measured, takes = evaluate_run(config, folder, store, speed, body, device)
    result["mean_joint_speed"] = source
    result["notes"] = sorted({*corpus.notes, *stamped["meta"].get("notes", [])})
    print_result(result)
    output = Path(config["out"] or folder / "eval" / "_".join(filter(None, (config["split"], config["tag"]))))
    paths = write_result(result, measured, output)
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
    """Turn voice recordings into motion: npz, other formats, and a video of each."""
    if config["audio"] is None:
        raise SemTalkError("audio is not set: give a voice recording, as in `python generate.py audio=FILE.wav`.")
    from semtalk.features.audio import find_audio
    from semtalk.motion.skeleton import FPS

    paths = find_audio(config["audio"])
    formats = {"npz", *([config["format"]] if isinstance(config["format"], str) else config["format"])}

    from functools import partial

    from rich.progress import track

    from semtalk.body import load_body
    from semtalk.generation.inputs import read_speeches
    from semtalk.generation.speech import SemTalk
    from semtalk.tasks.speed import trainer_device

    device = trainer_device(config["trainer"]["accelerator"])
    body = load_body(config["body"]["path"])
    model = SemTalk.from_pretrained(
        run_dir(config), config["generation"], str(device), body, config["precision"], config["decoding"]
    )
    speeches, bad = read_speeches(paths, config["transcript"], config["whisper"], config["language"])
    keys = ("speaker", "emotion", "motion", "betas", "beta", "gate", "batch", "samples", "seed")
    options = {key: config[key] for key in keys}
    results = model.generate(speeches, **options, progress=partial(track, description="Generating"))
    for line in model.counts():
        print(line)
    folder = Path(config["out"] or run_dir(config) / "generated")
    for speech, result in zip([s for s in speeches for _ in range(config["samples"])], results, strict=True):
        name = speech.name if config["samples"] == 1 else f"{speech.name}_{result.sample}"
        written = [result.save(folder / f"{name}.{kind}") for kind in sorted(formats)]
        if config["video"]:
            written += _draw_speech(result, folder / f"{name}.mp4", config["video_seconds"], config["beta"])
        print(f"{name}: {speech.frames} frames ({speech.frames / FPS:.1f} s)")
        print("\n".join(str(path) for path in written))
    if bad:
        raise SemTalkError("; ".join(bad) + f" ({len(bad)} of {len(paths)} recordings gave no motion).")


def _draw_speech(result, path: Path, seconds: float | None, beta: float) -> list[Path]:
    from semtalk.motion.skeleton import FPS
    from semtalk.viz.video import Scene, write_video

    if seconds is not None and len(result.motion) > seconds * FPS:
        print(f"The video shows the first {seconds:g} s (video_seconds=null for all).")
    scene = Scene({"generated": result.motion}, result.wave, result.psi, beta, words=result.words)
    return write_video(scene, path, seconds)
