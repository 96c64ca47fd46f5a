"""The card of a published model: its README, made from the run."""

import re
from collections.abc import Mapping, Sequence

import yaml
from torch import Tensor

from semtalk.settings import trained
from semtalk.settings.inputs import Features
from semtalk.settings.published import PublishedModel
from semtalk.tasks.published import GIVEN, IN_RUN

STAND_IN = (
    "**Measured with a stand-in body.** BC, DIV, MSE and LVD are not of SMPL-X: do not compare them with published "
    "tables."
)
LIMITS = (
    "It moves as the speakers of its data do, and knows their language, culture and situations alone.",
    "It makes a plausible motion for a voice, not the motion that this person made; what it does is no sign of what "
    "somebody felt or meant.",
    "Do not use it to have real people seem to say or do what they did not.",
    "Motion is of one standing speaker without surroundings: no listener, no objects, no contact but with the floor.",
)


def card(
    model: PublishedModel,
    title: str,
    weights: Mapping[str, Mapping[str, Tensor]],
    lacking: Sequence[str] = (),
) -> str:
    """A card in Markdown, with what the hub reads at its head.

    Args:
        model: What ``config.json`` says.
        title: Name of the repository or the folder.
        weights: Phase -> tensors of its network.
        lacking: What it lacks to be sent to others.
    """
    head = {
        "library_name": "semtalk", "license": "other",
        "license_name": re.sub("[^a-z0-9.]+", "-", (model.data.licence or "not said").lower()).strip("-"),
        "tags": ["semtalk", "co-speech-gesture", "speech-to-motion", "smpl-x"],
    }  # fmt: skip
    parts = [
        f"---\n{yaml.safe_dump(head, sort_keys=False, allow_unicode=True)}---",
        f"# {title}",
        "Speech to holistic SMPL-X motion (face, hands, upper and lower body) after SemTalk (ICCV 2025): trained "
        "networks, and what is known of them. The files are safetensors and json; loading them runs no code of theirs.",
        *(["**Not ready to be published.** It lacks " + "; ".join(lacking) + "."] if lacking else []),
        "## How to use",
        f"```python\nfrom semtalk import SemTalk\n\nmodel = SemTalk.from_pretrained(\"{title}\")\n"
        "model(\"voice.wav\").save(\"motion.npz\")\n```",
        f"On the command line: `semtalk generate ckpt={title} audio=voice.wav`.",
        _needs(trained((model.networks.sparse or model.networks.base).config).features),
        "## Data",
        _data(model),
        "## Metrics",
        *_metrics(model),
        "## Licence",
        "The weights were made from data under this licence, whose terms go with them: "
        f"{model.data.licence or 'not said'}. "
        "The code is Apache-2.0. SMPL-X, which the motion is for, has a licence of its own and is no part of this.",
        "## Limits",
        _list(LIMITS),
        "## Networks",
        _networks(model, weights),
    ]  # fmt: skip
    return "\n\n".join(parts) + "\n"


def _list(lines: Sequence[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)


def _needs(features: Features) -> str:
    """What features need that is no part of the model."""
    lines = []
    for name, slot in features.slots:
        wanted = slot.model or slot.path or ""
        if wanted.startswith(GIVEN):
            lines.append(f'{name}: `{wanted.removeprefix(GIVEN)}`, a file of your own: `files={{"{name}": FILE}}`')
        elif wanted and not wanted.startswith(IN_RUN):
            lines.append(f"{name}: `{wanted}` ({slot.encoder})")
    if not lines:
        return "Its features need no other model."
    return (
        "It hears and reads with these models, which have licences of their own and are fetched on their own:\n\n"
        + _list(lines)
    )


def _data(model: PublishedModel) -> str:
    speech = model.networks.sparse or model.networks.base
    lines = [
        f"corpus: {model.data.name}"
        + (f", speakers: {model.data.speakers}" if model.data.speakers is not None else ""),
        f"speakers that it knows: {', '.join(map(str, speech.facts.speakers))}",
        f"licence of the data: {model.data.licence or 'not said'}",
    ]
    return _list([*lines, *speech.facts.notes])


def _metrics(model: PublishedModel) -> list[str]:
    found = model.results
    if found is None:
        return ["It was not evaluated."]
    said = f"Protocol `{found.protocol}`, {found.split} split, {found.takes} takes, body: {found.body}."
    return [said, *([STAND_IN] if found.stand_in else []), found.page]


def _networks(model: PublishedModel, weights: Mapping[str, Mapping[str, Tensor]]) -> str:
    lines = ["| network | numbers | made by |", "| --- | --- | --- |"]
    for phase, tensors in weights.items():
        network = getattr(model.networks, phase)
        count = sum(value.numel() for value in tensors.values())
        lines.append(f"| {phase} | {count:,} | semtalk {network.version} |")
    return "\n".join(lines)
