"""What a network of one's own in the place of base or sparse has to offer.

Shapes are those of :mod:`semtalk.models.predictor`.
"""

from collections.abc import Mapping
from typing import Protocol

from torch import Tensor, nn

from semtalk.models.predictor import Passes, Prediction, SpeechFeatures


class MotionNetwork(Protocol):
    """What a network in the place of base or sparse has to offer: an ``nn.Module`` with these.

    It is built with ``sizes`` (:class:`semtalk.models.predictor.Sizes`), ``hubert`` (width), ``speakers`` (how many),
    ``chain`` and ``noise``; as base with ``rhythm`` (width) and ``project`` too, as sparse with ``words`` (width),
    ``context`` (widths) and ``vocabulary``; and with its own ``options``. A base network predicts all four parts, gives
    a :class:`semtalk.models.base_motion.BaseMotionPrediction`, and has ``readouts``, an ``nn.ModuleDict`` of one
    :class:`semtalk.models.decoding.Readout` for each part. A sparse network predicts the body's three parts, gives a
    :class:`semtalk.models.sparse_motion.SparseMotionPrediction`, and its speech features hold ``gate_logits``
    (B, S, 2), and ``scaled_by(psi)`` where ``gate=*_scaled`` is to work. docs/extending.md has an example.
    """

    standard: nn.ModuleDict
    """Feature slot -> its :class:`semtalk.models.layers.Standardise`; may be empty."""

    def encode_speech(self, batch: Mapping[str, Tensor]) -> SpeechFeatures:
        """What the network makes of the feature slots of a batch; generation asks for it once for each window."""

    def __call__(
        self, batch: Mapping[str, Tensor], motion: Tensor, masks: Tensor, passes: Passes,
        speech: SpeechFeatures | None = None,
    ) -> Prediction:  # fmt: skip
        """Predict the codes of several masked passes.

        Args:
            batch: Needs ``speaker`` (B,), and the slots where ``speech`` is not given.
            motion: (B, T, 337) whole-body channels.
            masks: (M, B, T, 337), 1 where the motion is hidden.
            passes: Which mask each pass sees, and whether the speech is heard in it.
            speech: What :meth:`encode_speech` gave for the batch, where that is known already.
        """
