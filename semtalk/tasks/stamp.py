"""What makes a checkpoint one of this code base: the configuration and the facts that its network is built from."""

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from torch import Tensor, nn

from semtalk.data.show_split import SPEAKERS
from semtalk.errors import SemTalkError
from semtalk.settings import Trained, trained

FORMAT = 2
"""2: parameters of base and sparse stand in another order, so that an optimiser's state of 1 cannot go on."""


def digest(weights: Mapping[str, Tensor]) -> str:
    """Sha256 over the names and values of a network's tensors: what tells its weights from any other."""
    found = hashlib.sha256()
    for name in sorted(weights):
        found.update(name.encode())
        found.update(weights[name].detach().cpu().contiguous().numpy().tobytes())
    return found.hexdigest()


@dataclass(frozen=True)
class Facts:
    """What training learned of data and method.

    Attributes:
        speakers: The corpus's speakers, by its own numbers or names, in the order of the networks' embeddings.
        mean_joint_speed: (55,) in m/s, or none.
        body: Name of the body model, or none.
        generation: The rollout that the networks were trained for, ``default`` or ``release``.
        notes: What every result has to say.
        licence: Of the corpus, where it was said.
        released: :func:`digest` of the authors' weights, where they were converted into this checkpoint; weights that
            were trained on have another one.
    """

    speakers: list
    mean_joint_speed: list[float] | None = None
    body: str | None = None
    generation: str = "default"
    notes: list[str] = field(default_factory=list)
    released: str | None = None
    licence: str | None = None


def named_speakers(speakers: list, of_show: bool) -> list:
    """Speakers by name where earlier versions wrote numbers, which were those of another corpus as well.

    Args:
        speakers: Of a checkpoint.
        of_show: Whether it was trained on SHOW.
    """
    earlier = of_show and all(isinstance(one, int) for one in speakers)
    names = dict(enumerate(SPEAKERS)) if earlier else {}
    return [names.get(one, one) for one in speakers]


@dataclass(frozen=True)
class Stamp:
    """What a checkpoint says of itself.

    Attributes:
        phase: See :data:`semtalk.tasks.phases.PHASES`.
        config: The full plain configuration.
        facts: Of data and method.
        version: Of this code base, that wrote it.
        format: Of checkpoints.
        finished: Whether the training that wrote it came to its end.
        beside: Phase -> digest of the network that this one was trained beside.
    """

    phase: str
    config: dict[str, Any]
    facts: Facts
    version: str
    format: int = FORMAT
    finished: bool = True
    beside: dict[str, str] = field(default_factory=dict)

    @property
    def settings(self) -> Trained:
        """Typed settings of the networks."""
        try:
            return trained(self.config)
        except SemTalkError as error:
            raise SemTalkError(
                f"the configuration of '{self.phase}', written by version {self.version}: {error}"
            ) from error

    @classmethod
    def read(cls, checkpoint: dict[str, Any]) -> "Stamp":
        """The stamp of a checkpoint."""
        content = dict(checkpoint["semtalk"])
        known = {name: value for name, value in content.pop("meta").items() if name in Facts.__dataclass_fields__}
        of_show = (content["config"].get("data") or {}).get("reader") == "show"
        return cls(facts=Facts(**known | {"speakers": named_speakers(known["speakers"], of_show)}), **content)

    def write(self, checkpoint: dict[str, Any]) -> None:
        """Put it into a checkpoint."""
        content = asdict(self)
        content["meta"] = content.pop("facts")
        checkpoint["semtalk"] = content


def new_stamp(phase: str, config: dict[str, Any], facts: Facts, needed: Mapping[str, nn.Module] | None = None) -> Stamp:
    """The stamp of a checkpoint that this version writes.

    Args:
        phase: See :data:`semtalk.tasks.phases.PHASES`.
        config: The full plain configuration.
        facts: Of data and method.
        needed: Phase -> the trained networks that this one is trained beside.
    """
    from semtalk import __version__

    beside = {name: digest(network.state_dict()) for name, network in (needed or {}).items()}
    return Stamp(phase, config, facts, __version__, beside=beside)
