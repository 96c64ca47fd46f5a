"""The networks, as plain modules."""

from semtalk.lazy import exports

__getattr__, __dir__, __all__ = exports(
    __name__,
    {
        "semtalk.models.base_motion": "BaseMotionNetwork BaseMotionPrediction",
        "semtalk.models.sparse_motion": "SparseMotionNetwork SparseMotionPrediction",
        "semtalk.models.contract": "MotionNetwork",
        "semtalk.models.predictor": "CodePredictor Passes Prediction Sizes SpeechFeatures",
        "semtalk.models.decoding": "Decoding Readout",
        "semtalk.models.layers": "Standardise step_mean step_repeat",
        "semtalk.models.rvqvae": "RVQVAE",
        "semtalk.models.tokenizer": "Tokenizer",
        "semtalk.models.translation": "TranslationNetwork",
        "semtalk.models.embedder": "MotionEmbedder",
        "semtalk.models.scorer": "AlignmentScorer",
    },
)
