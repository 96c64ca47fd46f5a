"""``eval.py``: measures a run or a folder of motion files, and compares evaluations."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from semtalk.files import refuse_unwritable
from semtalk.log import LOG
from semtalk.places import checkpoint_path
from semtalk.run import results_dir, run_dir, shared_embedder

if TYPE_CHECKING:
    from semtalk.settings.commands import EvalSettings, Evaluation, GeneaSettings, TrainSettings


def evaluate(settings: EvalSettings) -> None:
    """Evaluate a run, or a folder of motion files, or compare evaluations; print the tables and write the numbers."""
    if settings.out:
        refuse_unwritable(Path(settings.out))
    if settings.compare:
        return _compare(settings)
    for key, phase in (("embedder", "fgd"), ("scorer", "alignment")):
        if run := getattr(settings, key):
            from semtalk.needs import refuse_run

            refuse_run(key, run, [phase])
    if settings.motions:
        return _evaluate_folder(settings)
    evaluate_trained(settings, settings, settings.out)


def _compare(settings: EvalSettings) -> None:
    from semtalk.evaluation.comparison import compare
    from semtalk.evaluation.report import print_comparison

    paths = [settings.compare] if isinstance(settings.compare, str) else settings.compare
    comparison = compare(paths, settings.folder, settings.seed)
    print_comparison(comparison, Path(settings.out or Path(settings.runs_dir) / "compare"))


def _evaluate_folder(settings: EvalSettings) -> None:
    from semtalk.evaluation.files import read_files

    files = read_files(settings)

    from semtalk.body import load_body
    from semtalk.evaluation.evaluate import evaluate_folder
    from semtalk.evaluation.report import print_result, result_pages
    from semtalk.evaluation.result import write_result

    result, measured = evaluate_folder(settings, files, load_body(settings.body.path, settings.body.model))
    print_result(result)
    folder = Path(settings.out or Path(settings.motions) / "eval")
    LOG.info("\n".join(map(str, write_result(result, result_pages(result), measured, folder))))


def evaluate_trained(settings: EvalSettings | TrainSettings, evaluation: Evaluation, out: str | None) -> None:
    """Generate and measure the takes of a run; print the tables and write the numbers, a take and its video."""
    from semtalk.data.open import open_corpus, open_store
    from semtalk.face.head import refuse_faceless
    from semtalk.generation.hub import located_model
    from semtalk.tasks.checkpoint import read_stamp

    if evaluation.video:
        refuse_faceless(evaluation.view, settings.body.path)
    folder = located_model(getattr(settings, "ckpt", None) or run_dir(settings), getattr(settings, "revision", None))
    if settings.embedder is None and getattr(settings, "ckpt", None) is None:
        settings = settings.model_copy(update={"embedder": shared_embedder(settings)})
    read_stamp(settings.embedder or folder, "fgd")
    settings = with_own_features(settings, folder)
    corpus = open_corpus(settings.data)

    from semtalk.body import load_body
    from semtalk.data.store import mean_joint_speed
    from semtalk.evaluation.evaluate import evaluate_run
    from semtalk.evaluation.report import log_wandb, print_result, result_pages
    from semtalk.evaluation.result import write_result
    from semtalk.evaluation.takes import Shown
    from semtalk.tasks.speed import trainer_device

    body = load_body(settings.body.path, settings.body.model)
    device = trainer_device(settings.trainer.accelerator)
    store = open_store(settings, corpus, body)
    speed = mean_joint_speed(store, corpus, body)
    shown = Shown(evaluation.video_seconds)
    processes = getattr(settings, "processes", 1)
    result, measured = evaluate_run(settings, evaluation, folder, store, corpus, speed, body, device, shown, processes)
    result = replace(result, run=str(results_dir(settings)))
    print_result(result)
    output = Path(out or results_dir(settings) / "eval" / evaluation.folder)
    paths = write_result(result, result_pages(result), measured, output, device)
    paths += _draw_take(shown.take, evaluation, output, body, settings.data.reader)
    if settings.logger.name == "wandb":
        video = next((path for path in paths if path.suffix == ".mp4"), None)
        log_wandb(result, video, settings.logger.project, settings.run_name, output)
    LOG.info("\n".join(map(str, paths)))


def with_own_features(settings: EvalSettings | TrainSettings | GeneaSettings, folder: Path):
    """Settings with the features that a run's networks hear and read.

    Raises:
        SemTalkError: A checkpoint is missing, or names a class of a package that is not trusted.
    """
    from semtalk.generation.load import files_of, located
    from semtalk.settings import refuse_untrusted
    from semtalk.tasks.checkpoint import read_stamp

    phase = "sparse" if checkpoint_path(folder, "sparse").is_file() else "base"
    trained = read_stamp(folder, phase).settings
    refuse_untrusted(trained, settings.trust)
    features = located(trained.features, folder, files_of(settings.features))
    if features.name != "offline":
        LOG.info(f"The run's own features are used: {features.name}.")
    return settings.model_copy(update={"features": features})


def _draw_take(take, evaluation: Evaluation, output: Path, body, corpus: str) -> list[Path]:
    """Write the generated take as npz and, if wished, its video beside the truth."""
    from semtalk.evaluation.scene import take_motion, take_scene
    from semtalk.face.talk import find_face
    from semtalk.motion.io import save_motion
    from semtalk.viz.video import write_video

    path = output / f"{take.recording.id}.npz"
    save_motion(path, take_motion(take, "fused"))
    if not evaluation.video:
        return [path]
    face = find_face(evaluation.view, body, corpus)
    scene = take_scene(take, evaluation.beta, face, evaluation.view)
    return [path, *write_video(scene, path.with_suffix(".mp4"), evaluation.video_seconds)]
