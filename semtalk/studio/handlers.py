"""What the boxes and buttons of the page do."""

from collections.abc import Callable, Sequence
from functools import wraps
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr

from semtalk.errors import SemTalkError
from semtalk.log import LOG, printable
from semtalk.motion.skeleton import FPS, SAMPLE_RATE
from semtalk.studio.request import Request, in_milliseconds, spelt

if TYPE_CHECKING:
    from semtalk.studio.server import Studio

PROGRESS = gr.Progress()
"""By which Gradio knows that a function tells how far it is."""


def answered(function: Callable) -> Callable:
    """A function whose errors the page shows: in one sentence."""

    @wraps(function)
    def call(*values: Any) -> Any:
        try:
            return function(*values)
        except SemTalkError as error:
            raise gr.Error(escape(str(error)), print_exception=False) from None
        except Exception as error:
            LOG.warning(printable(f"{type(error).__name__}: {error}"))
            said = f"this could not be done ({type(error).__name__}); the studio's own window says more."
            raise gr.Error(escape(said), print_exception=False) from None

    return call


class Page:
    """Handlers of the page; they take what the boxes hold."""

    def __init__(self, studio: "Studio"):
        self.studio = studio
        self.engine = studio.engine

    def sound(self, audio: str | None, request: gr.Request) -> str:
        """Say how long a recording is, or why it is not taken."""
        if audio is None:
            return ""
        self.studio.received(request.session_hash, [audio])
        _, session = self.studio.session(request.session_hash)
        return f"{len(session.sound(Path(audio))) / SAMPLE_RATE:.1f} s of sound."

    def transcript(self, audio: str | None, file: str, request: gr.Request) -> str:
        """Put a transcript file into the box of words."""
        self.studio.received(request.session_hash, [file])
        _, session = self.studio.session(request.session_hash)
        return spelt(in_milliseconds(session.words_of(audio and Path(audio), Path(file))))

    def heard(self, audio: str | None, request: gr.Request) -> str:
        """Put what Whisper hears into the box of words."""
        _, session = self.studio.session(request.session_hash)
        return spelt(in_milliseconds(session.heard(audio and Path(audio))))

    def generate(
        self, audio: str | None, words: str, speaker: Any, beta: float, samples: int, temperature: float | None,
        seed: int, emphasise: str, calm: str, psi: str | None, poses: Sequence[str] | None, pose_times: str,
        beside: str, truth: str | None, request: gr.Request, progress: gr.Progress = PROGRESS,
    ) -> tuple:  # fmt: skip
        """Make a take, and show its first sample."""
        files = [one for one in (audio, psi, truth, *(poses or [])) if one]
        self.studio.received(request.session_hash, files)
        asked = Request(
            audio and Path(audio), words or "", speaker, beta, int(samples), temperature, int(seed), emphasise or "",
            calm or "", psi and Path(psi), [Path(one) for one in poses or []], pose_times or "", beside,
            truth and Path(truth),
        )  # fmt: skip
        token, session = self.studio.session(request.session_hash)
        number = session.generate(asked, lambda share, doing: progress(share, desc=doing))
        take = session.take(number)
        count = len(take.samples)
        numbers = gr.Radio([str(one + 1) for one in range(count)], value="1", visible=count > 1)
        frames = len(take.samples[0].motion)
        said = f"Take {number}: {frames / FPS:.1f} s, {len(take.utterance.words)} words."
        return (*self._shown(token, number, 0), spelt(take.utterance.words), numbers, take.line, number, said, "")

    def sample(self, number: int, sample: str, request: gr.Request) -> tuple:
        """Show another sample."""
        token, session = self.studio.session(request.session_hash)
        session.take(number)
        return (*self._shown(token, number, int(sample) - 1), "")

    def video(self, number: int | None, sample: str, request: gr.Request, progress: gr.Progress = PROGRESS) -> str:
        """Draw the video of what is shown."""
        token, session = self.studio.session(request.session_hash)
        if number is None:
            raise SemTalkError("There is no motion yet: generate one.")
        report = session.while_open(lambda share, doing: progress(share, desc=doing))
        session.take(number).video(int(sample) - 1, report)
        address = f"/made/{token}/{number}/{int(sample) - 1}/file/mp4"
        return f'<video id="video" controls src="{address}"></video><p><a href="{address}" download>mp4</a></p>'

    def _shown(self, token: str, number: int, sample: int) -> tuple[str, str]:
        """The viewer, and what can be downloaded."""
        place = f"/made/{token}/{number}/{sample}/"
        kinds = {
            "npz": "npz",
            "bvh": "bvh",
            "glb": "glb",
            "arkit": "ARKit csv",
            "psi": "psi csv",
            "zip": "everything (zip)",
        }
        links = " ".join(f'<a href="{place}file/{kind}" download>{name}</a>' for kind, name in kinds.items())
        address = f"/viewer/viewer.html?{number}-{sample}#{place}"  # what stands before # makes the frame a new one
        viewer = f'<iframe id="viewer" title="The figure and its time line" src="{address}"></iframe>'
        return viewer, f'<div class="links"><span>Download</span> {links}</div>'

    def gone(self, request: gr.Request) -> None:
        """End the session of a page that was closed."""
        self.studio.end(request.session_hash)
