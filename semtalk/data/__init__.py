"""Corpora, the prepared store, windows and batches."""

from semtalk.lazy import exports

__getattr__, __dir__, __all__ = exports(
    __name__,
    {
        "semtalk.data.datamodule": "BEAT2DataModule SHOWDataModule SampleDataModule CorpusDataModule MotionDataModule",
        "semtalk.data.recording": "Corpus Entry Recording SemanticInterval read_semantics",
        "semtalk.data.preparation": "prepare",
        "semtalk.data.sources": "file_stamp",
        "semtalk.data.store": "Store",
    },
)
