"""A character's own shapes of the face: ARKit's, VRM's expressions, or vowels by names that others give them."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from semtalk.avatar.names import folded
from semtalk.face.names import ARKIT, GAZE, INDEX
from semtalk.face.vowels import VOWELS, vowels

VRM_0 = {"a": "aa", "i": "ih", "u": "ou", "e": "ee", "o": "oh", "blink": "blink", "blink_l": "blinkLeft",
         "blink_r": "blinkRight"}  # fmt: skip
"""Preset of VRM 0 -> expression of VRM 1."""
NAMES = {
    "aa": ("viseme_aa", "vrc.v_aa", "Fcl_MTH_A", "mouthOpen"), "ih": ("viseme_I", "vrc.v_ih", "Fcl_MTH_I"),
    "ou": ("viseme_U", "vrc.v_ou", "Fcl_MTH_U"), "ee": ("viseme_E", "vrc.v_e", "Fcl_MTH_E"),
    "oh": ("viseme_O", "vrc.v_oh", "Fcl_MTH_O"), "blinkLeft": ("Fcl_EYE_Close_L", "blink_left"),
    "blinkRight": ("Fcl_EYE_Close_R", "blink_right"),
}  # fmt: skip
"""Expression -> names of other characters' morph targets: Oculus' and VRChat's visemes, VRoid's, and a mouth."""
BOTH_LIDS = "blink"
PRESETS = {*VOWELS, BOTH_LIDS}
PAIRED = ("eye", "mouth", "brow", "cheek", "nose")


@dataclass
class Driven:
    """A node whose morph targets are driven.

    Attributes:
        node: Its number.
        still: (N,) weights of all its targets at rest.
        targets: Target -> what it follows, and how much.
    """

    node: int
    still: np.ndarray
    targets: dict[int, dict[str, float]] = field(default_factory=dict)


@dataclass
class Shapes:
    """What of a face follows which weights.

    Attributes:
        driven: Nodes.
        binary: What is either 0 or 1.
    """

    driven: list[Driven]
    binary: set[str]

    def follows(self, names: Iterable[str]) -> bool:
        """Whether anything follows one of these."""
        names = set(names)
        return any(names & set(shares) for one in self.driven for shares in one.targets.values())

    @property
    def open_the_mouth(self) -> bool:
        """Whether the mouth opens by them, and not by a bone."""
        return self.follows(("jawOpen", "aa"))

    @property
    def turn_the_eyes(self) -> bool:
        """Whether the eyes look by them, and not by bones."""
        return self.follows(GAZE)

    def tracks(self, weights: np.ndarray) -> list[tuple[str, int, np.ndarray]]:
        """What an animation moves.

        Args:
            weights: (T, 52) ARKit's.
        """
        values = {name: weights[:, INDEX[name]] for name in ARKIT} | vowels(weights)
        values[BOTH_LIDS] = (values["blinkLeft"] + values["blinkRight"]) / 2
        values |= {name: (values[name] >= 0.5).astype(float) for name in self.binary if name in values}
        found = []
        for one in self.driven:
            track = np.tile(one.still, (len(weights), 1))
            for target, shares in one.targets.items():
                track[:, target] = sum(share * values[name] for name, share in shares.items())
            found.append(("weights", one.node, track))
        return found


Binds = list[tuple[int, int, float]]
"""Nodes, targets of theirs, and how much these follow."""


def read_shapes(document: dict[str, Any]) -> Shapes:
    """Find what moves a character's face: ARKit's shapes where it has them, else VRM's expressions, else other vowels.

    Raises:
        ValueError: Something names a node, a mesh or a target that is not there.
    """
    expressions, binary = _expressions(document)
    targets = _targets(document)
    ways = [
        {ARKIT_BY[_last(name)]: binds for name, binds in found.items() if _last(name) in ARKIT_BY}
        for found in (expressions, targets)
    ]
    chosen: dict[str, Binds] = next((way for way in ways if "jawOpen" in way), {})
    chosen = chosen or {name: binds for name, binds in expressions.items() if name in PRESETS}
    chosen = chosen or {OTHERS[_last(name)]: binds for name, binds in targets.items() if _last(name) in OTHERS}
    if "blinkLeft" in chosen and "blinkRight" in chosen:
        chosen.pop(BOTH_LIDS, None)  # which would close them twice
    driven: dict[int, Driven] = {}
    for name, binds in chosen.items():
        for node, target, share in binds:
            one = driven.setdefault(node, Driven(node, _still(document, node)))
            if target not in range(len(one.still)):
                raise ValueError(f"node {node} has no morph target {target}")
            one.targets.setdefault(target, {})[name] = share
    return Shapes(list(driven.values()), binary)


def _last(name: str) -> str:
    """A name without capitals, signs, and what programs put before it, as in ``head.jawOpen``."""
    return folded(name.rpartition(".")[2])


ARKIT_BY = {folded(name): name for name in ARKIT} | {
    folded(re.sub("(Left|Right)$", lambda side: side[0][0], name)): name for name in ARKIT if name.startswith(PAIRED)
}
"""Names as :func:`_last` gives them, also with L and R, -> ARKit's."""
OTHERS = {_last(name): expression for expression, names in NAMES.items() for name in names}


def _expressions(document: dict[str, Any]) -> tuple[dict[str, Binds], set[str]]:
    """VRM's expressions by VRM 1's names, and by their own; and which of them are either 0 or 1."""
    extensions, found, binary = document.get("extensions", {}), {}, set()
    if "VRMC_vrm" in extensions:
        groups = extensions["VRMC_vrm"].get("expressions", {})
        for name, one in (groups.get("preset", {}) | groups.get("custom", {})).items():
            found[name] = [
                (bind["node"], bind["index"], float(bind["weight"])) for bind in one.get("morphTargetBinds", [])
            ]
            binary |= {name} if one.get("isBinary") else set()
    elif "VRM" in extensions:
        users = _users(document)
        for one in extensions["VRM"].get("blendShapeMaster", {}).get("blendShapeGroups", []):
            name = VRM_0.get(str(one.get("presetName", "")).lower(), one.get("name", ""))
            found[name] = [
                (node, bind["index"], bind["weight"] / 100)
                for bind in one.get("binds", [])
                for node in users[bind["mesh"]]
            ]
            binary |= {name} if one.get("isBinary") else set()
    return found, binary


def _users(document: dict[str, Any]) -> list[list[int]]:
    """Nodes of each mesh."""
    users: list[list[int]] = [[] for _ in document.get("meshes", [])]
    for number, node in enumerate(document["nodes"]):
        if "mesh" in node:
            users[node["mesh"]].append(number)
    return users


def _targets(document: dict[str, Any]) -> dict[str, Binds]:
    """Morph targets by their names."""
    found: dict[str, Binds] = {}
    for mesh, users in zip(document.get("meshes", []), _users(document), strict=True):
        names = mesh.get("extras") or mesh["primitives"][0].get("extras") or {}
        for target, name in enumerate(names.get("targetNames", [])):
            found.setdefault(str(name), []).extend((node, target, 1.0) for node in users)
    return found


def _still(document: dict[str, Any], node: int) -> np.ndarray:
    """Weights of a node's morph targets at rest, (N,)."""
    if node not in range(len(document["nodes"])):
        raise ValueError(f"there is no node {node}")
    mesh = document["meshes"][document["nodes"][node]["mesh"]]
    count = len(mesh["primitives"][0].get("targets", []))
    given = document["nodes"][node].get("weights", mesh.get("weights", [0.0] * count))
    return np.array(given, np.float64).reshape(count)
