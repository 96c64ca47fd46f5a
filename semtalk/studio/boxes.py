"""What the page's boxes are called, and what is wrong in their words: the command line's keys mean nothing there."""

import re

BOXES = {
    "words": "Words", "speaker": "Speaker", "samples": "Samples", "beta": "Threshold beta", "beside": "Beside it",
    "temperature": "Temperature of samples", "seed": "Seed", "poses": "Poses to hold (npz)",
    "pose_times": "Held at these seconds (the middle frame of each file)", "psi": "Semantic scores (csv or npy)",
    "emphasise": "Words that matter more", "calm": "Words that matter less",
}  # fmt: skip
"""Box -> its label."""
KEYS = {"pose": "poses", "decoding.temperature": "temperature"}
"""Key of the command line -> the box of it, where that is called otherwise."""
NAMED = "|".join(re.escape(key) for key in sorted({*BOXES, *KEYS}, key=len, reverse=True))
BEGIN = re.compile(rf"^((?:{NAMED})(?:, (?:{NAMED}))*)(?:=(.*?))?: ", re.S)
"""Of a sentence about keys: ``calm=walk: ``."""
TOLD = {"give transcript=FILE.": "write them into the box of words."}
"""What the command line says to do -> what the page says."""


def label(key: str) -> str:
    """What the box of a key is called in a sentence."""
    return BOXES[KEYS.get(key, key)].partition(" (")[0]


def in_boxes(said: str) -> str:
    """A sentence about keys of the command line, said of the boxes of the page."""
    for line, page in TOLD.items():
        said = said.replace(line, page)
    about = BEGIN.match(said)
    if about is None:
        return said
    value = "" if about[2] is None else f"{about[2]}: "
    return f"{', '.join(label(key) for key in about[1].split(', '))}: {value}{said[about.end() :]}"
