"""Writes a trained run as a published model: safetensors, json and a card."""

import json
import re
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from semtalk.errors import SemTalkError
from semtalk.files import atomic_write, read_json, read_text
from semtalk.generation.card import card
from semtalk.generation.hub import sent
from semtalk.places import CONFIG, WEIGHTS, called, checkpoint_path, is_published
from semtalk.settings import validated
from semtalk.settings.commands import JUDGES, PHASE_NAMES
from semtalk.settings.published import FORMAT, PublishedModel, PublishedResults
from semtalk.tasks.checkpoint import load_checkpoint
from semtalk.tasks.published import CARD, FILES, LIBRARY, WORDS, published_network, read_published, tensors_of
from semtalk.tasks.sizes import network_weights
from semtalk.tasks.stamp import Stamp, digest

EVALUATION = "test"
"""Whose results are published, by default."""
MEASURED = ("metrics", *(name for name in PublishedResults.model_fields if name != "page"))
"""Keys of ``metrics.json`` that are needed."""
FOLDERS = re.compile(r"(?<![^\s=])(?:[A-Za-z]:)?[/\\]\S*[/\\](?=\S)")
"""Of paths of this machine, before a name."""


def read_results(run: Path, evaluation: str | Path, weights: Mapping[str, Mapping[str, Tensor]]) -> dict[str, Any]:
    """What an evaluation of a run found, for ``config.json``.

    Args:
        run: Folder of the run.
        evaluation: Name of its folder in ``RUN/eval``, or a folder.
        weights: Phase -> tensors of its network.

    Raises:
        SemTalkError: There is none; it is damaged; or it measured other networks.
    """
    again = f"run `{called('eval')} ckpt={run}`"
    folder = Path(evaluation) if (Path(evaluation) / "metrics.json").is_file() else run / "eval" / evaluation
    path = folder / "metrics.json"
    if not path.is_file():
        raise SemTalkError(f"metrics and their protocol ({path} is not there: {again})")
    try:
        content = read_json(path)
        page = read_text(folder / "metrics.md").partition("\n")[2].strip()
    except (OSError, SemTalkError) as error:
        raise SemTalkError(f"readable metrics ({error}; {again})") from error
    missing = [key for key in MEASURED if content.get(key) in (None, "", {})]
    if missing:
        raise SemTalkError(f"{missing[0]} in {path} ({again})")
    results = {key: content[key] for key in MEASURED if key != "metrics"} | {"page": FOLDERS.sub("", page)}
    try:
        measured = validated(PublishedResults, results).weights
    except SemTalkError as error:
        raise SemTalkError(f"readable metrics ({path}: {error}; {again})") from error
    now = {phase: digest(tensors) for phase, tensors in weights.items() if phase not in JUDGES}
    other = [phase for phase in now | measured if now.get(phase) != measured.get(phase)]
    if other:
        raise SemTalkError(f"metrics of what is trained now ({path} measured another '{other[0]}': {again})")
    return results


def save_run(
    run: Path,
    target: Path,
    title: str,
    networks: Mapping[str, nn.Module],
    licence: str | None = None,
    evaluation: str | Path = EVALUATION,
) -> list[str]:
    """Write a run, or a published model once more, as a published model.

    Args:
        run: Its folder.
        target: Folder to write to.
        title: Of the card.
        networks: Phase -> network as it is loaded, which has to be the run's.
        licence: Of the data; what the run says of it by default.
        evaluation: See :func:`read_results`.

    Returns:
        What it lacks to be sent to others.

    Raises:
        SemTalkError: The run is damaged, the networks are others, or the target is a run or holds other files.
    """
    if target.resolve() == run.resolve() or any((target / phase).is_dir() for phase in PHASE_NAMES):
        raise SemTalkError(f"{target}: the folder of a run; give a folder of its own.")
    refuse_others(target)
    loaded = {
        phase: load_checkpoint(path, phase) for phase in PHASE_NAMES if (path := checkpoint_path(run, phase)).is_file()
    }
    stamps = {phase: Stamp.read(checkpoint) for phase, checkpoint in loaded.items()}
    weights = {phase: tensors_of(network_weights(checkpoint)) for phase, checkpoint in loaded.items()}
    _check_unchanged(run, networks, weights)
    lacking = [f"the end of the training of '{phase}'" for phase, stamp in stamps.items() if not stamp.finished]
    speech = stamps.get("sparse", stamps["base"])
    published = read_published(run) if is_published(run) else None
    data = published_data(published, speech, licence)
    if data["licence"] is None:
        lacking.append("the licence of its data (give data_licence=TEXT, or data.licence=TEXT where it is trained)")
    results = published.results.plain() if published and published.results else None
    try:
        results = read_results(run, evaluation, weights)
    except SemTalkError as error:
        if results is None:
            lacking.append(str(error))
    content = {
        "library": LIBRARY, "format": FORMAT,
        "networks": {phase: published_network(stamp, data["licence"]) for phase, stamp in stamps.items()},
        "data": data, "results": results,
    }  # fmt: skip
    texts = {CARD: card(validated(PublishedModel, content), title, weights, lacking)}
    if (run / WORDS).is_file():
        texts[WORDS] = (run / WORDS).read_text(encoding="utf-8")
    texts[CONFIG] = json.dumps(content, indent=1)
    write_model(target, weights, texts)
    return lacking


def refuse_others(target: Path) -> None:
    """See that a published model may be written to a folder: a new or empty one, or that of an earlier one.

    Raises:
        SemTalkError: It holds other files, is no folder, or has no name to call the model by.
    """
    if not target.name:
        raise SemTalkError(f"folder={target}: it has no name of its own; give one that has, as in folder=models/NAME.")
    if target.exists() and not target.is_dir():
        raise SemTalkError(f"{target}: a file, and a model is a folder; give a folder of its own.")
    if target.is_dir() and any(target.iterdir()) and not _is_ours(target / CONFIG):
        raise SemTalkError(
            f"{target}: it holds other files than those of a published model, and none is written over; give a new "
            "folder."
        )


def _is_ours(config: Path) -> bool:
    """Whether a file is the ``config.json`` of a published model."""
    try:
        return config.is_file() and read_json(config).get("library") == LIBRARY
    except SemTalkError:
        return False


def published_data(published: PublishedModel | None, stamp: Stamp, licence: str | None) -> dict[str, Any]:
    """What ``config.json`` says of the data that a run, or an earlier published model, was trained on."""
    if published:
        known = published.data.plain()
        return known | {"licence": licence or known["licence"]}
    data = stamp.config.get("data") or {}
    return {
        "name": data.get("name", "not said"), "speakers": data.get("speakers"),
        "licence": licence or stamp.facts.licence,
    }  # fmt: skip


def write_model(target: Path, weights: Mapping[str, Mapping[str, Tensor]], texts: Mapping[str, str]) -> None:
    """Write the files of a published model, each whole or not at all, and remove those of an earlier one."""
    from safetensors.torch import save

    for phase, tensors in weights.items():
        path = target / f"{phase}{WEIGHTS}"
        atomic_write(path, lambda temporary, tensors=tensors: temporary.write_bytes(save(tensors)))
    for name, text in texts.items():
        atomic_write(target / name, lambda temporary, text=text: temporary.write_text(text, encoding="utf-8"))
    for name in set(FILES) - set(texts) - {f"{phase}{WEIGHTS}" for phase in weights}:
        (target / name).unlink(missing_ok=True)


def push_run(
    run: Path, name: str, networks: Mapping[str, nn.Module], licence: str | None, evaluation: str | Path,
    message: str, revision: str | None, private: bool | None,
) -> str:  # fmt: skip
    """Send a run to the hub as a published model; returns the address of the commit.

    Args:
        run: Its folder.
        name: Of the repository.
        networks: See :func:`save_run`.
        licence: See :func:`save_run`.
        evaluation: See :func:`save_run`.
        message: Of the commit.
        revision: See :func:`semtalk.generation.hub.sent`.
        private: See :func:`semtalk.generation.hub.sent`.

    Raises:
        SemTalkError: It lacks something that others need to know; or see :func:`save_run` and
            :func:`semtalk.generation.hub.sent`.
    """
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder)
        if lacking := save_run(run, target, name, networks, licence, evaluation):
            raise SemTalkError(f"{run} is not published: it lacks {'; '.join(lacking)}.")
        return sent(name, {path.name: path for path in sorted(target.iterdir())}, message, revision, private)


def _check_unchanged(run: Path, networks: Mapping[str, nn.Module], weights: Mapping[str, Mapping[str, Tensor]]) -> None:
    """See that networks in memory are those on disk; of bf16 ones the disk has all bits."""
    for phase, network in networks.items():
        for name, value in network.state_dict().items():
            if phase not in weights or not torch.equal(value.cpu(), weights[phase][name].to(value.dtype)):
                raise SemTalkError(
                    f"{run}: its '{phase}' is another now than the one that was loaded; what is saved is the run on "
                    "disk: load it again, or write a checkpoint of the changed network first."
                )
