"""Makes docs/voice_to_figure.webp, the first picture of the README: ``python docs/picture.py [RUN] [SOUND]``."""

import sys
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from semtalk import SemTalk
from semtalk.features import load_audio
from semtalk.features.recognise import Recogniser
from semtalk.generation import Generated
from semtalk.motion import FPS
from semtalk.viz.figure import draw_motions

SIZE = (720, 400)
"""Of the figure, in pixels."""
STRIP = 120
"""Height of the sound below it."""
EDGE = 24
EVERY = 2
"""Frames of motion for a frame of the picture: 15 a second."""
INK, HEARD, COMING = "#222222", "#b3541e", "#c9c5bd"


def strip(result: Generated, frame: int) -> Image.Image:
    """The sound with its words, coloured up to a frame."""
    picture = Image.new("RGB", (SIZE[0], STRIP), "white")
    draw, font = ImageDraw.Draw(picture), ImageFont.load_default(size=15)
    wave, frames = result.utterance.wave, len(result.motion)
    columns = range(EDGE, SIZE[0] - EDGE, 3)
    loudest = np.abs(wave).max()
    for column, piece in zip(columns, np.array_split(wave, len(columns)), strict=True):
        height = 2 + 34 * float(np.abs(piece).max() / loudest)
        heard = (column - EDGE) / (SIZE[0] - 2 * EDGE) <= frame / frames
        draw.line([column, 44 - height, column, 44 + height], fill=HEARD if heard else COMING, width=2)
    free = [0.0, 0.0]  # of each line: where the last word ends
    for text, start, _ in result.utterance.words:
        left = EDGE + start * FPS / frames * (SIZE[0] - 2 * EDGE)
        line = 0 if left >= free[0] else 1
        draw.text((left, 84 + 17 * line), text, fill=INK if start * FPS <= frame else COMING, font=font)
        free[line] = left + draw.textlength(text, font=font) + 4
    return picture


def make(run: str, sound: str, path: Path) -> None:
    """Generate motion for a sound with a run, and draw both."""
    wave = load_audio(sound)
    result = SemTalk.from_pretrained(run)(wave, Recogniser()(wave))
    pages = []
    drawn = draw_motions([result.motion], len(result.motion), (SIZE[0], int(SIZE[1] * 1.35)))
    for frame, picture in enumerate(drawn):
        if frame % EVERY == 0:
            page = Image.new("RGB", (SIZE[0], SIZE[1] + STRIP), "white")
            page.paste(Image.fromarray(picture).crop((0, 0, *SIZE)))
            page.paste(strip(result, frame), (0, SIZE[1]))
            pages.append(page)
    shown = {"duration": 1000 * EVERY // FPS, "loop": 0, "quality": 60, "method": 6}
    pages[0].save(path, save_all=True, append_images=pages[1:], **shown)
    print(f"{path}: {len(pages)} pictures, {path.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    given = dict(enumerate(sys.argv[1:]))
    make(given.get(0, "runs/sample_small"), given.get(1, "examples/spoken.flac"), Path("docs/voice_to_figure.webp"))
