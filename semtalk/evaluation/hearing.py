"""What of the speech is in generated motion, for rows of takes; docs/metrics.md has the formulas."""

import math
from collections import defaultdict
from collections.abc import Callable

import numpy as np
import torch

from semtalk.body import BodyModel
from semtalk.data.store import StoredRecording
from semtalk.evaluation.takes import Take, TakeMaker, legacy_frames
from semtalk.features.extract import SLOTS
from semtalk.metrics import hearing as H
from semtalk.motion.parts import poses_from_rotation
from semtalk.motion.rotation import rotation_6d_to_matrix
from semtalk.motion.skeleton import HAND_JOINTS, JAW, PARTS

OTHER = "other"
"""The row generated from another sound than the take's own."""
HEARD = {
    "jaw_r": "jaw opening: correlation with the truth", "jaw_amplitude": "jaw opening: deviation / truth's",
    "jaw_lag": "jaw opening: frames behind the truth", "jaw_error": "jaw opening: mean squared error, square degrees",
    "own_other": "jaw error, own sound / other sound", "expressions_mse": "expressions: mean squared error",
    "expressions_r": "10 most varying expressions: correlation",
    "expressions_amplitude": "10 most varying expressions: deviation / truth's",
    "upper_error": "upper body: rotation error, degrees", "hands_error": "hands: rotation error, degrees",
    "lower_error": "lower body: rotation error, degrees",
    "speed": "speed of all joints / truth's", "acceleration": "acceleration of all joints / truth's",
    "speed_upper": "speed of the upper body / truth's",
    "acceleration_upper": "acceleration of the upper body / truth's",
    "speed_lower": "speed of the lower body / truth's",
    "acceleration_lower": "acceleration of the lower body / truth's",
    "speed_hands": "speed of the fingers / truth's", "acceleration_hands": "acceleration of the fingers / truth's",
    "div_share": "DIV / truth's", "bc_share": "BC / truth's",
}  # fmt: skip
"""Name of each number -> what it is."""


def other_sounds(
    recordings: list[StoredRecording], counted: Callable[[int], int] = legacy_frames
) -> list[StoredRecording]:
    """For each recording one that sounds otherwise: another one that lasts as long, of the same speaker if possible.

    Where there is none, it is the recording itself with its features rolled by half its length.

    Args:
        recordings: Of a split.
        counted: Frames of a take -> those that count.
    """
    others = []
    for recording in recordings:
        candidates = [r for r in recordings if r.id != recording.id and counted(r.frames) >= counted(recording.frames)]
        same = [r for r in candidates if r.info["speaker"] == recording.info["speaker"]]
        others.append((same or candidates or [_rolled(recording)])[0])
    return others


def _rolled(recording: StoredRecording) -> StoredRecording:
    rolled = {slot: recording[slot].roll(len(recording[slot]) // 2, dims=0) for slot in SLOTS}
    return StoredRecording(recording.folder, recording.info, rolled)


def add_other_sound(takes: list[Take], maker: TakeMaker, others: list[StoredRecording] | None = None) -> None:
    """Give every take the row :data:`OTHER`: generated as ``fused`` is, from another sound.

    Args:
        takes: What gets the row.
        maker: What made the others.
        others: Whose sound each of them gets; see :func:`other_sounds`, by default among the takes.
    """
    recordings = [take.recording for take in takes]
    rollout = maker.rollout(recordings, speech=others or other_sounds(recordings))
    for index, take in enumerate(takes):
        take.add_rollout(OTHER, rollout, index)


def jaw_opening(take: Take, row: str) -> np.ndarray:
    """Opening of the jaw in degrees (T,)."""
    return H.jaw_opening(poses_from_rotation(take.rotation[row])[:, JAW].numpy())


class Hearing:
    """What of the speech is in a row of takes that come one by one; of a take two tracks of its jaw are kept."""

    def __init__(self, row: str, other: str | None = None):
        """Begin; see :func:`hearing`."""
        self.row, self.other = row, other
        self.own: list[np.ndarray] = []
        self.true: list[np.ndarray] = []
        self.foreign = H.Mean()
        self.expressions = H.Likeness()
        self.errors = {part: H.Mean() for part in ("upper", "hands", "lower")}
        self.moves: dict[tuple[str, str], H.Mean] = defaultdict(H.Mean)

    def add(self, take: Take, body: BodyModel) -> None:
        """Take a take into it that has the rows and ``truth``; ``body`` is for joints."""
        self.own.append(jaw_opening(take, self.row))
        self.true.append(jaw_opening(take, "truth"))
        if self.other is not None:
            self.foreign.add(np.square(jaw_opening(take, self.other) - self.true[-1]))
        self.expressions.add(*(take.expressions[name].numpy() for name in (self.row, "truth")))
        for part, error in self.errors.items():
            joints = list(PARTS[part].joints)
            matrices = (rotation_6d_to_matrix(take.rotation[name][:, joints]).numpy() for name in (self.row, "truth"))
            error.add(H.geodesic_degrees(*matrices))
        for whose, row in (("own", self.row), ("true", "truth")):
            for part, places in _positions(take, row, body).items():
                for order, name in enumerate(("speed", "acceleration"), start=1):
                    self.moves[whose, f"{name}{part}"].add(H.changes(places, order))

    def numbers(self) -> dict[str, float]:
        """Numbers of :data:`HEARD`, those that hold for the row."""
        own, true, few = self.own, self.true, self.expressions.most_varying()
        numbers = {
            "jaw_r": float(H.correlation(own, true)),
            "jaw_amplitude": float(H.amplitude_ratio(own, true)),
            "jaw_lag": H.best_lag(own, true),
            "jaw_error": H.squared_error(own, true),
        }
        if self.other is not None:
            numbers["own_other"] = numbers["jaw_error"] / self.foreign.value
        return numbers | {
            "expressions_mse": self.expressions.error.value,
            "expressions_r": float(self.expressions.correlation()[few].mean()),
            "expressions_amplitude": float(self.expressions.amplitude_ratio()[few].mean()),
            **{f"{part}_error": error.value for part, error in self.errors.items()},
            **{name: self._share(name) for whose, name in self.moves if whose == "own"},
        }

    def _share(self, name: str) -> float:
        """A speed or an acceleration over the truth's; not a number where that stands still, as mean hands do."""
        true = self.moves["true", name].value
        return self.moves["own", name].value / true if true else math.nan


def hearing(takes: list[Take], row: str, body: BodyModel, other: str | None = None) -> dict[str, float]:
    """What of the speech is in a row.

    Args:
        takes: With the row and ``truth``.
        row: Name of what is measured.
        body: For joints.
        other: The same method's row with another sound, for ``own_other``.

    Returns:
        Numbers of :data:`HEARD`, those that hold for the row.
    """
    found = Hearing(row, other)
    for take in takes:
        found.add(take, body)
    return found.numbers()


def _positions(take: Take, row: str, body: BodyModel) -> dict[str, np.ndarray]:
    """Joints in metres without translation: all, the upper and the lower body's, the fingers' in the wrist's frame."""
    poses = poses_from_rotation(take.rotation[row])
    whole = body.joints(poses, take.betas).numpy()
    fingers = torch.zeros_like(poses)
    fingers[:, list(HAND_JOINTS)] = poses[:, list(HAND_JOINTS)]
    hands = body.joints(fingers, take.betas)[:, list(HAND_JOINTS)].numpy()
    parts = {f"_{part}": whole[:, list(PARTS[part].joints)] for part in ("upper", "lower")}
    return {"": whole, **parts, "_hands": hands}


def hearing_table(
    takes: list[Take], measured: dict[str, dict[str, float]], body: BodyModel, others: dict[str, str] | None = None
) -> dict[str, dict[str, float]]:
    """Numbers of :data:`HEARD` of several rows, DIV and BC as shares of the truth's among them.

    Args:
        takes: With the rows.
        measured: Row -> metric -> value, the row ``truth`` among them, as :func:`evaluate_rows` gives it.
        body: For joints.
        others: Row -> its row with another sound.
    """
    found = hearings(tuple(measured), others)
    for take in takes:
        for one in found.values():
            one.add(take, body)
    return filled_table(found, measured)


def hearings(rows: tuple[str, ...], others: dict[str, str] | None = None) -> dict[str, Hearing]:
    """What hears each of the rows, and of ``others``: row -> its row with another sound."""
    others = others or {}
    return {row: Hearing(row, others.get(row)) for row in dict.fromkeys([*rows, *others.values()])}


def filled_table(found: dict[str, Hearing], measured: dict[str, dict[str, float]]) -> dict[str, dict[str, float]]:
    """Numbers of what was heard, with DIV and BC of the rows in ``measured`` as shares of the truth's."""
    table = {row: one.numbers() for row, one in found.items()}
    for row, values in measured.items():
        table[row] |= shares(values, measured["truth"])
    return table


def shares(values: dict[str, float], truth: dict[str, float]) -> dict[str, float]:
    """DIV and BC of a row as shares of the truth's, where they are measured; not a number where that is 0."""
    names = [name for name in ("div", "bc") if name in truth]
    return {f"{name}_share": values[name] / truth[name] if truth[name] else float("nan") for name in names}
