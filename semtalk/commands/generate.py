"""``generate.py``: turns voice recordings into motion."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from semtalk.errors import SemTalkError
from semtalk.log import LOG
from semtalk.places import called
from semtalk.run import refuse_untrained, results_dir, run_dir

if TYPE_CHECKING:
    from semtalk.settings.commands import GenerateSettings


def generate(settings: GenerateSettings) -> None:
    """Turn voice recordings into motion: npz, other formats, and a video of each."""
    if settings.audio is None:
        raise SemTalkError(f"audio is not set: give a voice recording, as in `{called('generate')} audio=FILE.wav`.")
    from semtalk.avatar import read_avatar
    from semtalk.avatar.blender import refuse_without_blender
    from semtalk.face.head import refuse_faceless
    from semtalk.face.matrix import read_matrix
    from semtalk.features.audio import find_audio
    from semtalk.files import refuse_unwritable
    from semtalk.generation.inputs import (
        SUFFIXES,
        find_recogniser,
        hear_words,
        read_betas,
        read_seed,
        read_utterances,
        refuse_overwriting,
    )
    from semtalk.generation.wishes import pose_files, read_wishes
    from semtalk.motion.skeleton import FPS

    if settings.video:
        refuse_faceless(settings.view, settings.body.path)
    paths = find_audio(settings.audio)
    utterances, bad = read_utterances(paths, settings.transcript)
    if settings.motion is not None:
        read_seed(settings.motion)  # or an error
    if settings.betas is not None:
        read_betas(settings.betas)
    if settings.arkit_matrix is not None:
        read_matrix(settings.arkit_matrix)  # or an error
    asked = (settings.emphasise, settings.calm, settings.psi, settings.pose, settings.end)
    read_wishes(utterances, *asked, heard=settings.transcript not in ("auto", "whisper"))
    formats = {"npz", *settings.formats}
    if "fbx" in formats:
        refuse_without_blender("format=fbx")
    avatar = None if settings.avatar is None else read_avatar(settings.avatar, settings.avatar_map)
    folder = Path(settings.out or results_dir(settings) / "generated")
    refuse_unwritable(folder)
    endings = {f".{SUFFIXES.get(kind, kind)}" for kind in formats} | ({".mp4", ".png"} if settings.video else set())
    moved = {avatar.path.suffix.lower(), *({".fbx"} & endings)} if avatar else set()
    endings |= {f"_avatar{suffix}" for suffix in moved}
    names = [utterance.name for utterance in utterances]
    if settings.samples > 1:
        names = [f"{name}_{sample}" for name in names for sample in range(settings.samples)]
    files = (
        settings.motion, settings.end, settings.betas, settings.transcript, settings.psi, settings.arkit_matrix,
        settings.avatar, settings.avatar_map,
    )  # fmt: skip
    given = [*paths, *(Path(one) for one in files if isinstance(one, str)), *pose_files(settings.pose)]
    refuse_overwriting(
        given, [folder / "environment.json", *(folder / f"{name}{ending}" for name in names for ending in endings)]
    )
    refuse_untrained(settings)
    recognise = find_recogniser(settings.transcript, settings.whisper, settings.language)

    from functools import partial

    from rich.progress import track

    from semtalk.avatar import write_avatar
    from semtalk.body import load_body
    from semtalk.environment import write_environment
    from semtalk.generation.asked import generate_asked, load_asked
    from semtalk.settings.line import generate_line
    from semtalk.tasks.speed import trainer_device

    device = trainer_device(settings.trainer.accelerator)
    body = load_body(settings.body.path, settings.body.model)
    model = load_asked(settings, settings.ckpt or run_dir(settings), str(device), body)
    driven = avatar is not None and avatar.shapes.driven
    arkit, worn, shown = _faces(settings, formats, driven, body, model.corpus)
    if recognise:
        hear_words(utterances, recognise)
    results = generate_asked(model, settings, utterances, partial(track, description="Generating"))
    for line in model.counts():
        LOG.info(line)
    write_environment(folder, device, command=generate_line(settings, settings.ckpt or str(run_dir(settings))))
    lost: list[str] = []
    for name, result in zip(names, results, strict=True):
        utterance = result.utterance
        written = [
            result.save(folder / f"{name}.{SUFFIXES.get(kind, kind)}", arkit, settings.arkit_fps, settings.bvh, worn)
            for kind in sorted(formats - {"fbx"})
        ]
        if settings.video:
            written += _draw_speech(result, folder / f"{name}.mp4", settings, shown)
        for suffix in sorted(moved):
            written += _unless_it_fails(
                lost, write_avatar, folder / f"{name}_avatar{suffix}", result.motion, avatar, body, arkit
            )
        if "fbx" in formats:
            written += _unless_it_fails(lost, partial(result.save, face=worn), folder / f"{name}.fbx")
        LOG.info(f"{name}: {utterance.frames} frames ({utterance.frames / FPS:.1f} s)")
        LOG.info("\n".join(map(str, written)))
    if bad:
        lost.append("; ".join(bad) + f" ({len(bad)} of {len(paths)} recordings gave no motion).")
    if lost:
        raise SemTalkError("\n".join(lost))


def _unless_it_fails(lost: list[str], write: Callable[..., Path], *given) -> list[Path]:
    """What is written by another program, whose end must not lose other takes; why it is not, if it is not."""
    try:
        return [write(*given)]
    except SemTalkError as error:
        lost.append(str(error))
        return []


def _faces(settings: GenerateSettings, formats: set[str], driven: bool, body, corpus: str | None) -> tuple:
    """How ARKit's weights are found, the face in a glb or fbx, and that in videos; each only where it is wanted."""
    from semtalk.face import face_map
    from semtalk.face.own import OwnFace
    from semtalk.face.talk import find_face, free_face

    mapped = {"matrix": settings.arkit_matrix, "order": settings.arkit_order, "corpus": corpus}
    arkit = worn = shown = None
    if "arkit" in formats or driven:
        arkit = face_map(body, **mapped)
        LOG.info(arkit.said)
    seen = settings.video and settings.view != "body"
    if seen:
        shown = find_face(settings.view, body, **mapped)
    if {"glb", "fbx"} & formats:
        worn = shown if seen and not isinstance(shown, OwnFace) else free_face(body, **mapped)
    return arkit, worn, shown


def _draw_speech(result, path: Path, settings: GenerateSettings, face) -> list[Path]:
    from semtalk.motion.skeleton import FPS
    from semtalk.viz.video import Scene, write_video

    seconds = settings.video_seconds
    if seconds is not None and len(result.motion) > seconds * FPS:
        LOG.info(f"The video shows the first {seconds:g} s (video_seconds=null for all).")
    utterance = result.utterance
    scene = Scene(
        {"generated": result.motion}, utterance.wave, result.psi, settings.beta, words=utterance.words, face=face,
        view=settings.view,
    )  # fmt: skip
    return write_video(scene, path, seconds)
