"""Where in a picture the figures are, and where close-ups of their faces."""

import math
from typing import Literal, NamedTuple

SPACING, SIDES = 1.5, 2.3
"""Metres between figures, and what is seen beside the outer two, half of it on either side."""
ANGLE = 30.0
"""Degrees from top to bottom of the picture."""
NEAREST = 4.0
"""Metres from the camera to the figures, where these leave it room."""
View = Literal["body", "face", "both"]
BODY_SHARE = 9 / 16
"""Of the width of a picture of one figure, beside its face."""
FACE_ROW = 4 / 9
"""Height of faces and names above several figures, of the height of these."""
NAME_ROOM = 36
"""Pixels above a row of faces, where the names of figures stand."""
FACE_GAP = 6
"""Pixels between two faces."""

Box = tuple[int, int, int, int]
"""Left, top, width and height in pixels."""


class Stage(NamedTuple):
    """A picture's parts.

    Attributes:
        size: Width and height in pixels.
        bodies: Where all figures are seen, or none.
        faces: Where each face is seen; empty for none.
        middles: Of the names of figures, from the left edge, in pixels.
    """

    size: tuple[int, int]
    bodies: Box | None
    faces: tuple[Box, ...]
    middles: tuple[float, ...]


def distance(figures: int, size: tuple[int, int]) -> float:
    """Metres from the camera to the figures, so that all of them are in a picture of this width and height."""
    width = SPACING * (figures - 1) + SIDES
    return max(NEAREST, width * size[1] / size[0] / (2 * math.tan(math.radians(ANGLE / 2))))


def figure_places(figures: int, size: tuple[int, int]) -> list[float]:
    """Where each figure stands in the picture, from left (0) to right (1)."""
    seen = distance(figures, size) * 2 * math.tan(math.radians(ANGLE / 2)) * size[0] / size[1]
    return [0.5 + (index - (figures - 1) / 2) * SPACING / seen for index in range(figures)]


def stage(figures: int, size: tuple[int, int], view: View = "body") -> Stage:
    """Share a picture out: a face beside its figure, or above it where there are several, which makes it higher.

    Args:
        figures: How many.
        size: Width and height of a picture of bodies, in pixels.
        view: What is seen.
    """
    width, height = size
    if view == "face":
        wide = width // figures
        faces = tuple((index * wide, 0, wide - (figures > 1) * FACE_GAP, height) for index in range(figures))
        return Stage(size, None, faces, tuple(left + across / 2 for left, _, across, _ in faces))
    if view == "both" and figures == 1:
        body = round(width * BODY_SHARE)
        return Stage(size, (0, 0, body, height), ((body, 0, width - body, height),), (body / 2,))
    middles = tuple(place * width for place in figure_places(figures, size))
    if view == "body":
        return Stage(size, (0, 0, width, height), (), middles)
    row = round(height * FACE_ROW / 2) * 2
    tall = max(row - NAME_ROOM, row // 2)
    wide = min(tall, int(middles[1] - middles[0]) - FACE_GAP)
    faces = tuple((round(middle - wide / 2), row - tall, wide, tall) for middle in middles)
    return Stage((width, height + row), (0, row, width, height), faces, middles)
