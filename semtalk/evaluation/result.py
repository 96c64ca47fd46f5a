"""What an evaluation found, and states beside it: ``metrics.json``, ``per_take.csv`` and the FGD features."""

import csv
import io
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import TypeAdapter, ValidationError

from semtalk.environment import versions, write_environment
from semtalk.errors import SemTalkError
from semtalk.files import atomic_write, read_json
from semtalk.places import called

WEIGHT = " weight"
"""Behind a metric's name: the column of its weights in ``per_take.csv``, where they are not the frames."""


def again() -> str:
    """What to do where an evaluation is damaged."""
    return f"evaluate anew with `{called('eval')}`"


@dataclass(frozen=True)
class Result:
    """What is written of an evaluation.

    Attributes:
        run: Folder of the run, or of the motion files.
        split: Whose takes.
        takes: How many.
        protocol: How they were counted.
        body: Name of the body model.
        stand_in: Whether it is the stand-in.
        embedder: ``source`` and ``sha256`` of the FGD embedder.
        mean_joint_speed: Where BC's joint speed is from.
        config: The full plain configuration.
        metrics: Row -> metric -> value.
        headings: Metric -> title of its column.
        scales: Metric -> what tables divide it by.
        hearing: Row -> number -> value of what is heard.
        known_answers: Name -> value, for the embedded corpus.
        gate: Precision, recall and F1 of the gate.
        samples: ``count`` of samples, and their ``diversity`` in metres or none.
        too_short: Takes that were left out.
        notes: What a reader must know.
        versions: Of packages.
        weights: Phase -> digest of its network, of those that generated.
        alignment: What a scorer finds, see :meth:`semtalk.evaluation.alignment.Alignment.numbers`.
    """

    run: str
    split: str
    takes: int
    protocol: str
    body: str
    stand_in: bool
    embedder: dict[str, str]
    mean_joint_speed: str
    config: dict[str, Any]
    metrics: dict[str, dict[str, float]]
    headings: dict[str, str] = field(default_factory=dict)
    scales: dict[str, float] = field(default_factory=dict)
    hearing: dict[str, dict[str, float]] = field(default_factory=dict)
    known_answers: dict[str, float] = field(default_factory=dict)
    gate: dict[str, float] = field(default_factory=dict)
    samples: dict[str, Any] = field(default_factory=dict)
    too_short: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    versions: dict[str, str] = field(default_factory=versions)
    weights: dict[str, str] = field(default_factory=dict)
    alignment: dict[str, Any] = field(default_factory=dict)

    @property
    def embedder_said(self) -> str:
        """Where the FGD embedder is from, and its file's hash."""
        return " ".join(filter(None, (self.embedder["source"], self.embedder["sha256"])))

    @classmethod
    def read(cls, path: Path) -> "Result":
        """Read ``metrics.json``.

        Raises:
            SemTalkError: It is damaged, or another file.
        """
        content = {key: value for key, value in read_json(path).items() if key in cls.__dataclass_fields__}
        try:
            return TypeAdapter(cls).validate_python(content)
        except ValidationError as error:
            first = error.errors()[0]
            key = ".".join(map(str, first["loc"]))
            raise SemTalkError(f"{path}: {key}: {first['msg']}; it is damaged, or another file: {again()}.") from error


@dataclass
class Measured:
    """Numbers of an evaluation.

    Attributes:
        table: Row -> metric -> value over all takes.
        per_take: One dict for each row and take; FGD needs many rows of features and is not given per take.
        features: Metric that is of all takes together -> row -> for each take what it adds, (N, D).
    """

    table: dict[str, dict[str, float]] = field(default_factory=dict)
    per_take: list[dict] = field(default_factory=list)
    features: dict[str, dict[str, list[np.ndarray]]] = field(default_factory=dict)


def write_texts(folder: Path, texts: Mapping[str, str]) -> list[Path]:
    """Write files of a folder, each whole or not at all; returns their paths."""
    for name, text in texts.items():
        atomic_write(folder / name, lambda temporary, text=text: temporary.write_text(text, encoding="utf-8"))
    return [folder / name for name in texts]


def write_result(
    result: Result, pages: Mapping[str, str], measured: Measured, folder: Path, device: Any = "cpu"
) -> list[Path]:
    """Write ``metrics.json``, its pages, ``per_take.csv``, the FGD features and ``environment.json``.

    Args:
        result: What was found.
        pages: Name of a file -> text, see :func:`semtalk.evaluation.report.result_pages`.
        measured: Its numbers.
        folder: Where to.
        device: That motion was generated on.

    Returns:
        Paths of ``metrics.json``, the pages and ``per_take.csv``.
    """
    rows = io.StringIO(newline="")
    writer = csv.DictWriter(rows, fieldnames=list(measured.per_take[0]))
    writer.writeheader()
    writer.writerows(measured.per_take)
    texts = {"metrics.json": json.dumps(asdict(result), indent=2), **pages}
    paths = write_texts(folder, texts | {"per_take.csv": rows.getvalue()})
    arrays = {
        key: array
        for name, rows in measured.features.items()
        for row, found in rows.items()
        for key, array in (
            (f"{name}/{row}", np.concatenate(found)), (f"{name}/{row}/lengths", np.array([len(one) for one in found])),
        )
    }  # fmt: skip
    if arrays:
        atomic_write(folder / "features.npz", lambda temporary: np.savez(temporary, **arrays))
    else:  # an earlier evaluation's would be of other numbers
        (folder / "features.npz").unlink(missing_ok=True)
    write_environment(folder, device)
    return paths
