"""What the boxes and buttons of the page do."""

from collections.abc import Callable, Iterator, Sequence
from functools import wraps
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr

from semtalk.errors import SemTalkError
from semtalk.log import LOG, printable
from semtalk.motion.skeleton import FPS, SAMPLE_RATE
from semtalk.studio.boxes import BOXES
from semtalk.studio.request import Request, in_milliseconds, is_timed, spelt, still_asked
from semtalk.studio.turns import Report, Stopped, Work

if TYPE_CHECKING:
    from semtalk.studio.server import Studio

EMPTY = (
    '<div class="empty"><p><b>Record or choose a voice</b>, say what its words are, and generate.</p><p>Then click a '
    "word below the figure to have it matter more, or less.</p></div>"
)
"""What stands where the figure will be."""


def sentence(error: Exception) -> str:
    """What the page says of an error, as html: one sentence."""
    if isinstance(error, SemTalkError):
        return escape(str(error))
    LOG.warning(printable(f"{type(error).__name__}: {error}"))
    return escape(f"this could not be done ({type(error).__name__}); the studio's own window says more.")


def answered(function: Callable) -> Callable:
    """A function whose errors the page shows: in one sentence."""

    @wraps(function)
    def call(*values: Any) -> Any:
        try:
            return function(*values)
        except Exception as error:
            raise gr.Error(sentence(error), print_exception=False) from None

    return call


def progress(share: float | None, doing: str) -> str:
    """What is being done and how far it is; a bar without an end for none."""
    done = "" if share is None else f" {share:.0%}"
    value = "" if share is None else f' value="{share:.3f}"'
    return f'<div class="doing"><span>{escape(doing)}{done}</span><progress{value}></progress></div>'


def followed(make: Callable[[Report], tuple], kept: int, busy: tuple, idle: tuple) -> Iterator[tuple]:
    """Do a piece of work, and show how far it is.

    Args:
        make: Does it; gives what outputs show then, and what the status says.
        kept: How many outputs stay as they are until then.
        busy: What buttons look like while it is done.
        idle: And else.

    Yields:
        Outputs, buttons and the status.
    """
    still = (gr.skip(),) * kept
    yield (*still, *busy, progress(None, ""))
    work = Work(make)
    for share, doing in work.told():
        yield (*still, *busy, progress(share, doing))
    try:
        *shown, said = work.result()
    except Stopped as stopped:
        yield (*still, *idle, escape(str(stopped)))
    except Exception as error:
        yield (*still, *idle, f'<span class="failed">{sentence(error)}</span>')
    else:
        yield (*shown, *idle, said)


def swapped(first: bool) -> tuple[Any, Any]:
    """Two buttons of which one is shown: the first, which begins something, or the second, which stops it."""
    return gr.Button(visible=first), gr.Button(visible=not first)


class Page:
    """Handlers of the page; they take what the boxes hold."""

    def __init__(self, studio: "Studio"):
        self.studio = studio
        self.engine = studio.engine

    def sound(self, audio: str | None, words: str, request: gr.Request) -> Iterator[tuple]:
        """Begin anew with another voice: what belongs to the one before goes. Say how long it is, or why it is none."""
        owner = request.session_hash
        _, session = self.studio.session(owner)
        session.stop("generating", "drawing", "hearing")

        def make(report: Report) -> tuple:
            if audio is None:
                return ("",)
            self.studio.received(owner, [audio])
            return (f"{len(session.sound(Path(audio))) / SAMPLE_RATE:.1f} s of sound.",)

        begun = (EMPTY, gr.Column(visible=False), None, "" if is_timed(words) else gr.skip(), "", "", "")
        for (status,) in followed(make, 0, (), ()):
            yield (*begun, status)

    def given(self, poses: Sequence[str] | None, psi: str | None, truth: str | None, request: gr.Request) -> None:
        """Note files as they come: they go with the page, whether motion was made with them or not."""
        self.studio.received(request.session_hash, [one for one in (*(poses or []), psi, truth) if one])

    def said(self, words: str, emphasise: str, calm: str) -> tuple[Any, Any]:
        """Words have changed: what was asked of one that is not said any more goes."""
        kept = [still_asked(asked, words) for asked in (emphasise, calm)]
        return tuple(gr.skip() if left == asked else left for left, asked in zip(kept, (emphasise, calm), strict=True))

    def transcript(self, audio: str | None, file: str, request: gr.Request) -> Iterator[tuple]:
        """Put a transcript file into the box of words."""
        owner = request.session_hash

        def make(report: Report) -> tuple:
            self.studio.received(owner, [file])
            words = self.studio.session(owner)[1].words_of(audio and Path(audio), Path(file))
            return spelt(in_milliseconds(words)), f"{len(words)} words."

        yield from followed(make, 1, (), ())

    def heard(self, audio: str | None, request: gr.Request) -> Iterator[tuple]:
        """Put what Whisper hears into the box of words."""
        _, session = self.studio.session(request.session_hash)

        def make(report: Report) -> tuple:
            words = session.heard(audio and Path(audio), report)
            return spelt(in_milliseconds(words)), f"{len(words)} words were heard."

        yield from followed(make, 1, (gr.Button(interactive=False),), (gr.Button(interactive=True),))

    def generate(
        self, audio: str | None, words: str, speaker: Any, beta: float, samples: int, temperature: float | None,
        seed: int | None, emphasise: str, calm: str, psi: str | None, poses: Sequence[str] | None, pose_times: str,
        beside: str, truth: str | None, request: gr.Request,
    ) -> Iterator[tuple]:  # fmt: skip
        """Make a take, and show its first sample."""
        owner = request.session_hash

        def make(report: Report) -> tuple:
            self.studio.received(owner, [one for one in (audio, psi, truth, *(poses or [])) if one])
            if seed is None:
                raise SemTalkError(f"{BOXES['seed']}: it is empty; give a whole number.")
            asked = Request(
                audio and Path(audio), words or "", speaker, beta, int(samples), temperature, int(seed),
                emphasise or "", calm or "", psi and Path(psi), [Path(one) for one in poses or []], pose_times or "",
                beside, truth and Path(truth),
            )  # fmt: skip
            token, session = self.studio.session(owner)
            number = session.generate(asked, report)
            take = session.take(number)
            count = len(take.samples)
            numbers = gr.Radio([str(one) for one in range(count)], value="0", visible=count > 1)
            seconds = len(take.samples[0].motion) / FPS
            said = f"Take {number}: {seconds:.1f} s, {len(take.utterance.words)} words."
            stage, links = self._shown(token, number, 0)
            spoken = spelt(take.utterance.words)
            return stage, gr.Column(visible=True), links, spoken, numbers, take.line, number, "", said

        yield from followed(make, 8, swapped(False), swapped(True))

    def sample(self, number: int, sample: str, request: gr.Request) -> tuple:
        """Show another sample."""
        token, session = self.studio.session(request.session_hash)
        session.take(number)
        return *self._shown(token, number, int(sample)), ""

    def video(self, number: int | None, sample: str, request: gr.Request) -> Iterator[tuple]:
        """Draw the video of what is shown."""
        token, session = self.studio.session(request.session_hash)

        def make(report: Report) -> tuple:
            if number is None:
                raise SemTalkError("There is no motion yet: generate one.")
            path = session.video(number, int(sample), report)
            address = f"/made/{token}/{number}/{int(sample)}/file/mp4"
            name = f"Take {number}, {escape(path.name)}"
            video = f'<video id="video" controls src="{address}"></video>'
            return (f'{video}<p>{name} <a href="{address}" download>mp4</a></p>',)

        yield from followed(make, 0, swapped(False), swapped(True))

    def stop(self, request: gr.Request) -> str:
        """Stop generating; say so until it has."""
        return self._stop("generating", request)

    def halt(self, request: gr.Request) -> str:
        """Stop drawing; say so until it has."""
        return self._stop("drawing", request)

    def _stop(self, kind: str, request: gr.Request) -> str:
        self.studio.session(request.session_hash)[1].stop(kind)
        return progress(None, "Stopping")

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
        return viewer, f'<div class="links"><span>Take {number}</span> {links}</div>'

    def gone(self, request: gr.Request) -> None:
        """End the session of a page that was closed."""
        self.studio.end(request.session_hash)
