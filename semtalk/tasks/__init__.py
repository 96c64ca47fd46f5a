"""Training: the table of phases, their LightningModules, and their checkpoints."""

from semtalk.lazy import exports

__getattr__, __dir__, __all__ = exports(
    __name__,
    {
        "semtalk.tasks.phases": "PHASES build_network",
        "semtalk.tasks.build": "make_task new_task",
        "semtalk.tasks.fit": "fit_phase",
        "semtalk.tasks.stage": "StageTask",
        "semtalk.tasks.motion": "RVQVAETask TranslationTask EmbedderTask",
        "semtalk.tasks.alignment": "AlignmentTask",
        "semtalk.tasks.codes": "BaseMotionTask SparseMotionTask latent_statistics",
        "semtalk.tasks.checkpoint": "load_network load_tokenizer",
        "semtalk.tasks.stamp": "Facts Stamp new_stamp",
    },
)
