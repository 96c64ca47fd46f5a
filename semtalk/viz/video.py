"""Videos: of a take, with sound, the semantic score over time and words; and of a study, which show a figure alone."""

from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from rich.progress import track

from semtalk.face.talk import DrawnFace
from semtalk.files import atomic_write
from semtalk.motion.io import Motion
from semtalk.motion.skeleton import DOWNSAMPLE, FPS, SAMPLE_RATE
from semtalk.viz.figure import draw_motions
from semtalk.viz.stage import Stage, View, stage

SCENE = (960, 540)
STRIP_HEIGHT = 150
MARGIN = 44
INK, FAINT, ACTIVE, CURVE, TRUE = "#222222", "#999999", "#f6d9b0", "#b3541e", "#5b7a99"
STUDY = (1440, 1080)
"""Size of a study's videos, as the GENEA leaderboard shows them."""
TITLE_SIZES, TITLE_GAP = (18, 16, 14, 12), 8
"""Of the font of a figure's title, the first that fits; and pixels between titles."""
SHEET_FRAMES = 8
SHEET_COLUMNS = 4


@dataclass
class Scene:
    """What a video shows.

    Attributes:
        motions: Title -> motion, from left to right.
        wave: (S,) mono at 16 kHz.
        psi: (T/4,) semantic score, or none.
        beta: Threshold.
        keywords: (text, start s, end s) of labelled intervals, drawn where they fall.
        words: (text, start s, end s) of what is said; those that do not fit beside the one before are left out.
        face: Of the figures; without one they are of wood alone, and bodies are all that is seen.
        view: Bodies, faces or both.
    """

    motions: dict[str, Motion]
    wave: np.ndarray
    psi: np.ndarray | None
    beta: float
    keywords: list[tuple[str, float, float]] = field(default_factory=list)
    words: list[tuple[str, float, float]] = field(default_factory=list)
    face: DrawnFace | None = None
    view: View = "both"

    @property
    def stage(self) -> Stage:
        """Of the pictures above the strip."""
        return stage(len(self.motions), SCENE, self.view if self.face else "body")


def _font(size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.load_default(size=size)


class Strip:
    """The curve of psi below the figures; steps above the threshold, where sparse codes are active, are shaded."""

    def __init__(self, scene: Scene, frames: int):
        self.frames = frames
        self.picture = Image.new("RGB", (SCENE[0], STRIP_HEIGHT), "white")
        draw = ImageDraw.Draw(self.picture)
        top, bottom = 34, STRIP_HEIGHT - 42
        self.top, self.bottom = top, bottom

        def y(value: float) -> float:
            return bottom - value * (bottom - top)

        psi = scene.psi if scene.psi is not None else np.zeros(0)
        for step, value in enumerate(psi[: -(-frames // DOWNSAMPLE)]):
            if value > scene.beta:
                left, right = self.x(step * DOWNSAMPLE), self.x(min((step + 1) * DOWNSAMPLE, frames))
                draw.rectangle([left, top, right, bottom], fill=ACTIVE)
        draw.line([MARGIN, bottom, SCENE[0] - MARGIN, bottom], fill=FAINT)
        for x in range(MARGIN, SCENE[0] - MARGIN, 8):
            draw.line([x, y(scene.beta), x + 3, y(scene.beta)], fill=FAINT)
        draw.text((4, y(scene.beta) - 7), "beta", fill=FAINT, font=_font(12))
        draw.text((8, top - 8), "psi", fill=CURVE, font=_font(13))
        points = [(self.x(step * DOWNSAMPLE + 1.5), y(float(value))) for step, value in enumerate(psi)]
        points = [point for point in points if point[0] <= SCENE[0] - MARGIN]
        if len(points) > 1:
            draw.line(points, fill=CURVE, width=2)
        for text, start, end in scene.keywords:
            if start * FPS < frames:
                draw.line([self.x(start * FPS), top - 4, self.x(min(end * FPS, frames)), top - 4], fill=TRUE, width=4)
                draw.text((self.x(start * FPS), 8), text, fill=TRUE, font=_font(14))
        self._write(draw, scene.words)
        for second in range(0, frames // FPS + 1, max(1, frames // FPS // 10)):
            draw.text((self.x(second * FPS) - 4, bottom + 4), f"{second} s", fill=FAINT, font=_font(12))

    def _write(self, draw: ImageDraw.ImageDraw, words: list[tuple[str, float, float]]) -> None:
        """Write words below the seconds, as far as they fit."""
        font, free = _font(12), 0.0
        for text, start, _ in words:
            x = self.x(start * FPS)
            if start * FPS < self.frames and x >= free:
                draw.text((x, self.bottom + 22), text, fill=INK, font=font)
                free = x + draw.textlength(text, font=font) + 4

    def x(self, frame: float) -> float:
        """Horizontal place of a frame."""
        return MARGIN + frame / max(1, self.frames) * (SCENE[0] - 2 * MARGIN)

    def at(self, frame: int) -> Image.Image:
        """The strip with the cursor at a frame."""
        picture = self.picture.copy()
        ImageDraw.Draw(picture).line([self.x(frame), self.top - 8, self.x(frame), self.bottom], fill=INK, width=2)
        return picture


def _compose(picture: np.ndarray, titles: list[str], strip: Image.Image, place: Stage) -> Image.Image:
    width, height = place.size
    page = Image.new("RGB", (width, height + STRIP_HEIGHT), "white")
    page.paste(Image.fromarray(picture))
    page.paste(strip, (0, height))
    draw = ImageDraw.Draw(page)
    middles = place.middles
    room = width if len(titles) == 1 else middles[1] - middles[0] - TITLE_GAP
    for middle, title in zip(middles, titles, strict=True):
        text, font = _fitted(draw, title, room)
        draw.text((middle, 14), text, fill=INK, font=font, anchor="ma")
    return page


def _fitted(draw: ImageDraw.ImageDraw, title: str, room: float) -> tuple[str, ImageFont.FreeTypeFont]:
    """A title and its font, smaller where it would not fit, and cut off where the smallest does not either."""
    font = next((_font(size) for size in TITLE_SIZES if draw.textlength(title, font=_font(size)) <= room), None)
    if font is not None:
        return title, font
    smallest = _font(TITLE_SIZES[-1])
    kept = next(cut for cut in range(len(title), -1, -1) if draw.textlength(f"{title[:cut]}…", font=smallest) <= room)
    return f"{title[:kept]}…", smallest


def write_video(
    scene: Scene, path: str | Path, seconds: float | None = None, processes: int | None = None, quiet: bool = False,
    progress: Callable[[Iterable, int], Iterable] | None = None,
) -> list[Path]:  # fmt: skip
    """Write an mp4 (H.264 and AAC) and, beside it, a contact sheet png of 8 frames.

    Args:
        scene: What to show.
        path: Of the mp4.
        seconds: Show only so much of it.
        processes: How many draw at once, see :func:`semtalk.viz.figure.draw_motions`.
        quiet: Show no progress.
        progress: Wraps the pictures, of which it is told how many there are, in the place of a progress bar.

    Returns:
        The paths of the mp4 and of the png.
    """
    path = Path(path)
    frames = min(len(motion) for motion in scene.motions.values())
    frames = frames if seconds is None else min(frames, int(seconds * FPS))
    chosen = set(np.linspace(0, frames - 1, SHEET_FRAMES + 2).astype(int)[1:-1].tolist())
    kept: list[Image.Image] = []
    motions = list(scene.motions.values())
    with closing(draw_motions(motions, frames, SCENE, processes, scene.face, scene.view)) as drawn:  # its processes
        if progress is not None:
            pictures = progress(drawn, frames)
        else:
            pictures = track(drawn, description="Drawing", total=frames, disable=quiet)
        atomic_write(path, lambda temporary: _encode(scene, temporary, pictures, frames, chosen, kept))
    sheet = path.with_suffix(".png")
    columns = min(SHEET_COLUMNS, len(kept))
    small = [page.resize((page.width // 2, page.height // 2), Image.Resampling.LANCZOS) for page in kept]
    rows = -(-len(small) // columns)
    picture = Image.new("RGB", (columns * small[0].width, rows * small[0].height), "white")
    for index, page in enumerate(small):
        picture.paste(page, (index % columns * page.width, index // columns * page.height))
    atomic_write(sheet, picture.save)
    return [path, sheet]


def _encode(
    scene: Scene, path: Path, pictures: Iterable[np.ndarray], frames: int, chosen: set[int], kept: list[Image.Image]
) -> None:
    import av

    strip = Strip(scene, frames)
    titles, place = list(scene.motions), scene.stage
    with av.open(str(path.absolute()), "w") as container:
        video = container.add_stream("libx264", rate=FPS, options={"crf": "20", "preset": "veryfast"})
        video.width, video.height, video.pix_fmt = place.size[0], place.size[1] + STRIP_HEIGHT, "yuv420p"
        audio = container.add_stream("aac", rate=SAMPLE_RATE, layout="mono")
        for index, picture in enumerate(pictures):
            page = _compose(picture, titles, strip.at(index), place)
            if index in chosen:
                kept.append(page)
            container.mux(video.encode(av.VideoFrame.from_ndarray(np.asarray(page), format="rgb24")))
        container.mux(video.encode())
        _add_sound(container, audio, scene.wave[: frames * SAMPLE_RATE // FPS])


def _add_sound(container, stream, wave: np.ndarray) -> None:
    """Encode a wave (S,) at 16 kHz into a stream of an open file."""
    import av

    wave = wave.astype(np.float32)
    for first in range(0, len(wave), 1024):
        block = av.AudioFrame.from_ndarray(wave[None, first : first + 1024], format="fltp", layout="mono")
        block.sample_rate, block.pts, block.time_base = SAMPLE_RATE, first, Fraction(1, SAMPLE_RATE)
        container.mux(stream.encode(block))
    container.mux(stream.encode())


def write_silent(motion: Motion, path: Path, size: tuple[int, int] = STUDY, processes: int | None = None) -> None:
    """Write an mp4 (H.264, a key frame each second) of a figure and nothing else, seen by a camera that stands still.

    Args:
        motion: Shown from its first frame to its last.
        path: Of the mp4.
        size: Width and height in pixels.
        processes: How many draw at once, see :func:`semtalk.viz.figure.draw_motions`.
    """
    encode_silent(draw_motions([motion], len(motion), size, processes), path, size)


def encode_silent(pictures: Iterable[np.ndarray], path: Path, size: tuple[int, int]) -> None:
    """Write pictures (H, W, 3) uint8 as an mp4 of a study."""
    import av

    def encode(temporary: Path) -> None:
        options = {"crf": "18", "preset": "veryfast", "g": str(FPS)}
        with av.open(str(temporary.absolute()), "w") as container:
            video = container.add_stream("libx264", rate=FPS, options=options)
            (video.width, video.height), video.pix_fmt = size, "yuv420p"
            for picture in pictures:
                frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
                container.mux(video.encode(frame))
            container.mux(video.encode())

    atomic_write(path, encode)


def write_with_sound(silent: Path, wave: np.ndarray, path: Path) -> None:
    """Write a silent mp4 again, with the same pictures bit for bit, and with sound (AAC): a wave (S,) at 16 kHz."""
    import av

    def join(temporary: Path) -> None:
        with av.open(str(silent.absolute())) as source, av.open(str(temporary.absolute()), "w") as target:
            shown = source.streams.video[0]
            video = target.add_stream_from_template(shown)
            audio = target.add_stream("aac", rate=SAMPLE_RATE, layout="mono")
            for packet in source.demux(shown):
                if packet.dts is not None:
                    packet.stream = video
                    target.mux(packet)
            _add_sound(target, audio, wave)

    atomic_write(path, join)
