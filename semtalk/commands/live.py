"""``live.py``: sends the motion of a voice to an engine or an avatar program while it is made."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from semtalk.errors import SemTalkError
from semtalk.log import LOG
from semtalk.places import called
from semtalk.run import refuse_untrained, run_dir

if TYPE_CHECKING:
    from semtalk.live.process import Sender
    from semtalk.settings.commands import LiveSettings


def send_live(settings: LiveSettings) -> None:
    """Send the motion of a voice by VMC, in step with its sound."""
    if settings.audio is None:
        raise SemTalkError(
            f"audio is not set: give a voice recording, as in `{called('live')} audio=FILE.wav`, or audio=microphone."
        )
    from semtalk.face.matrix import read_matrix
    from semtalk.features.audio import load_audio
    from semtalk.features.transcript import read_transcript
    from semtalk.features.utterance import refuse_short
    from semtalk.live.process import Sender
    from semtalk.live.sender import Address, refuse_without_osc
    from semtalk.live.sound import Microphone, pieces_of

    refuse_without_osc()
    Address(settings.target).close()  # or an error
    if settings.arkit_matrix is not None:
        read_matrix(settings.arkit_matrix)  # or an error
    if settings.hears:
        refuse_untrained(settings)
        microphone = Microphone()
        try:
            with _ended_by_control_c(microphone.end):
                _send(settings, Sender(settings.target, None, False), microphone, [])
        finally:
            microphone.close()
        return
    wave = load_audio(settings.audio)
    refuse_short(wave, settings.audio)
    words = [] if settings.transcript is None else read_transcript(settings.transcript, wave)
    refuse_untrained(settings)
    sender = Sender(settings.target, wave, settings.play)
    if settings.play == "auto" and not sender.plays:
        LOG.info("The motion is sent without its sound, which needs sounddevice and a sound card (docs/live.md).")
    _send(settings, sender, pieces_of(wave), words)


@contextmanager
def _ended_by_control_c(end: Callable[[], None]) -> Iterator[None]:
    """Have the first Ctrl+C end what is heard, so that its last frames are sent; the second one ends the program."""

    def first(number, frame) -> None:
        signal.signal(signal.SIGINT, before)
        end()

    before = signal.signal(signal.SIGINT, first)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _send(settings: LiveSettings, sender: Sender, pieces: Iterable, words: list) -> None:
    """Send the motion of sound that comes in pieces, and say how steadily."""
    try:
        sent, late = sender.send(_live_frames(settings, pieces, words))
    finally:
        sender.end()
    LOG.info(f"{sent} frames were sent, {late} of which came too late.")


def _live_frames(settings: LiveSettings, pieces: Iterable, words: list) -> Iterator[list[bytes]]:
    """Datagrams of each frame of a voice that comes in pieces, as soon as there is one."""
    from semtalk.body import load_body
    from semtalk.face import face_map
    from semtalk.generation.load import files_of
    from semtalk.generation.speech import SemTalk
    from semtalk.generation.stream import SpeechStream
    from semtalk.live.bones import Bones
    from semtalk.live.speech import Encoder, spoken_frames
    from semtalk.motion.skeleton import NUM_BETAS
    from semtalk.tasks.speed import trainer_device

    body = load_body(settings.body.path, settings.body.model)
    model = SemTalk.from_pretrained(
        settings.ckpt or run_dir(settings), settings.generation, str(trainer_device(settings.trainer.accelerator)),
        body, decoding=dict(settings.decoding), trust=settings.trust, revision=settings.revision,
        files=files_of(settings.features),
    )  # fmt: skip
    face = face_map(body, settings.arkit_matrix, settings.arkit_order, model.corpus)
    LOG.info(face.said)
    stream = SpeechStream(
        model, settings.speaker, settings.emotion, settings.beta, settings.lookahead, name=Path(settings.audio).stem,
        seed=settings.seed, hop=settings.hop,
    )  # fmt: skip
    encoder = Encoder(
        Bones(body, [0.0] * NUM_BETAS, settings.hips_height), face, settings.face, settings.jaw, settings.bundle
    )
    LOG.info(f"Sending to {settings.target}; Ctrl+C ends it.")
    yield from spoken_frames(stream, pieces, words, encoder)
