"""Sizes of the networks: ``configs/model``, see ``semtalk/models``."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, model_validator

from semtalk.settings.common import (
    Dropout,
    Layers,
    Part,
    Reference,
    Settings,
    Share,
    Size,
    Text,
    between,
    distinct,
    is_reference,
)


class RVQVAEModel(Settings):
    """The RVQ-VAE of each part (paper section 3.1)."""

    width: Size
    """Channels of the convolutions."""
    latent: Size
    """Width of a code."""
    levels: Annotated[int, between(1, 64)]
    """Levels of the residual quantizer."""
    codes: Annotated[int, between(2, 65536)]
    """Codes of each level."""
    dropout: Dropout
    """Inside residual blocks."""
    quantizer_dropout: Share
    """Share of training windows that use a random number of levels alone."""
    decay: Dropout
    """Of the codebooks' moving averages."""
    linear: Annotated[int, between(0, 65536)]
    """Principal directions that the linear path beside the convolutions starts with; 0 for no such path."""
    noise: Annotated[float, between(0.0, 100.0)]
    """Noise on the latents that the decoder sees in training, in deviations."""
    smoothing: Annotated[int, between(0, 100)]
    """How often decoded frames are averaged with their neighbours."""


class TranslationModel(Settings):
    """Where the body goes."""

    width: Size
    """Channels of the convolutions."""
    encoder_blocks: Annotated[int, between(1, 64)]
    """Residual blocks of the encoder."""


class NetworkModel(Settings):
    """Sizes that base and sparse network share; heads divide their widths."""

    width: Size
    """Width of the transformer layers over frames."""
    heads: Size
    """Their attention heads."""
    latent_heads: Size
    """Attention heads of layers as wide as a code."""
    residual_heads: Size
    """Attention heads of the residual code heads."""
    feed_forward: Size
    """Feed-forward width of a layer over its own width."""
    residual_feed_forward: Size
    """The same in the residual code heads."""
    face_layers: Layers
    """Decoder layers of the face branch."""
    audio_layers: Layers
    """Decoder layers by which the body reads the audio."""
    residual_layers: Layers
    """Decoder layers of each residual code head."""
    memory_positions: bool
    """Whether speech gets positions before it is attended to."""
    motion_blocks: Layers
    """Blocks of the encoder of known motion."""
    dropout: Dropout
    """In transformer layers and after positions."""
    local_layers: Layers
    """Convolutions of the direct path from a frame's own speech into face and body; 0 for no such path."""
    local_dropout: Dropout
    """In that path."""
    deaf_pass: Literal["body", "all"]
    """What does not hear the speech in a pass without audio: the body's branch alone, or face and code heads too."""


Memory = Literal["face", "upper", "hands", "lower", "face:coarse", "upper:coarse", "hands:coarse", "lower:coarse"]
"""What a part can attend to; ``PART:coarse`` is a part before its own refinement."""


class Link(Settings):
    """One step of the coarse-to-fine chain (paper section 3.3)."""

    part: Part
    """The part that is refined."""
    memory: Annotated[list[Memory], Field(min_length=1)]
    """What it attends to."""


def each_part_once(chain: list[Link]) -> list[Link]:
    """A chain that refines no part twice.

    Raises:
        ValueError: It does.
    """
    distinct([link.part for link in chain])
    return chain


ChainOfLinks = Annotated[list[Link], AfterValidator(each_part_once)]
"""The coarse-to-fine block: parts in the order in which they are refined."""


class PlacedNetwork(Settings):
    """A network, or another in its place."""

    network: str
    """The built-in network, or one of an installed package (docs/extending.md)."""
    options: dict[str, Any] = {}
    """Further arguments of a network of one's own, as in +model.base.options.layers=2."""

    @model_validator(mode="after")
    def options_are_for_ones_own(self) -> "PlacedNetwork":
        """The built-in networks take no further arguments."""
        if self.options and not is_reference(self.network):
            raise ValueError(f"options are for a network of one's own; {self.network} takes none.")
        return self


class BaseMotionModel(PlacedNetwork):
    """The base network (paper section 3.3)."""

    network: Literal["base_motion"] | Reference
    """The built-in network, or one of an installed package (docs/extending.md)."""
    project: bool
    """Whether the rhythm losses compare features behind a projection head."""
    chain: ChainOfLinks
    """Order and memories of the coarse-to-fine block."""


class SparseMotionModel(PlacedNetwork):
    """The sparse network (paper section 3.4)."""

    network: Literal["sparse_motion"] | Reference
    """The built-in network, or one of an installed package (docs/extending.md)."""
    context: Annotated[list[Literal["sentence", "emotion"]], Field(min_length=1), AfterValidator(distinct)]
    """What the words attend to."""
    vocabulary: Annotated[int, between(1, 10_000_000)] | None
    """Size of a table of word vectors inside the network; words are then ids."""
    chain: ChainOfLinks
    """Order and memories of the coarse-to-fine block; the face is not among them."""

    @model_validator(mode="after")
    def the_face_is_the_base_networks(self) -> "SparseMotionModel":
        """The sparse network has no face."""
        if any("face" in (link.part, *(name.split(":")[0] for name in link.memory)) for link in self.chain):
            raise ValueError("the sparse network has no face; its chain holds upper, hands and lower.")
        return self


class AlignmentModel(Settings):
    """The scorer of alignment (semtalk/models/scorer.py)."""

    parts: Annotated[list[Part], Field(min_length=1), AfterValidator(distinct)]
    """Whose rotations it sees; of the face it is the jaw's."""
    width: Size
    """Channels of the convolutions."""
    blocks: Annotated[int, between(1, 64)]
    """Residual blocks over code steps, of each of its two towers."""
    latent: Size
    """Width of the space in which motion and sound meet."""
    dropout: Dropout
    """In the towers."""
    noise: Annotated[float, between(0.0, 100.0)]
    """Noise on what it hears and sees in training, in deviations."""


class Model(Settings):
    """Sizes of all networks."""

    name: Text
    """What runs are named by."""
    rvqvae: RVQVAEModel
    translation: TranslationModel
    embedder: Literal["emage", "talkshow", "diffsheg"]
    """Whose network FGD's features are of: EMAGE's for BEAT2, TalkSHOW's or DiffSHEG's for SHOW (docs/metrics.md)."""
    standardise: bool
    """Whether base and sparse standardise features by the training split."""
    network: NetworkModel
    base: BaseMotionModel
    sparse: SparseMotionModel
    alignment: AlignmentModel

    @model_validator(mode="after")
    def heads_divide_widths(self) -> "Model":
        """Attention heads share out their layer's width."""
        widths = {"heads": self.network.width, "latent_heads": self.rvqvae.latent, "residual_heads": self.rvqvae.latent}
        for name, width in widths.items():
            if width % getattr(self.network, name):
                owner = "network.width" if name == "heads" else "rvqvae.latent"
                raise ValueError(f"network.{name} must divide {owner}={width}.")
        return self
