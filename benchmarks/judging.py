"""What the rollouts of a validation cost at the paper's sizes, beside the training between two validations."""

import tempfile
from pathlib import Path

from benchmarks.common import PAPER, device, record, seconds
from benchmarks.data import make_store, paper_widths
from benchmarks.generation import networks
from benchmarks.training import Step
from semtalk.body import load_body
from semtalk.data.store import mean_joint_speed
from semtalk.evaluation.judge import Judge
from semtalk.settings import compose
from semtalk.tasks.phases import build_network
from semtalk.tasks.stamp import Facts

WINDOWS = 8_550
"""Training windows of BEAT2's speaker 2 at stride 20."""
BATCH = 16
"""Windows of the step that is timed; the time of the paper's is taken to grow as the batch does."""


def judge() -> None:
    """Base and sparse network judged by 60 s of val takes, the first time (which fits the linear map) and again."""
    settings = compose("train", *PAPER)
    settings = settings.model_copy(update={"features": paper_widths()})
    generator, body = networks(settings), load_body(None)
    with tempfile.TemporaryDirectory() as folder:
        store, corpus = make_store(Path(folder), settings.features)
        facts = Facts(store.speakers)
        judging = Judge(settings, Path(folder), store, facts, body, mean_joint_speed(store, corpus, body)[0])
        judging.translation, judging.embedder = generator.translation, build_network("fgd", settings, 1).eval()

        def validation() -> None:
            judging(generator.tokenizer, generator.base, generator.sparse, device())

        first, again = seconds(validation), seconds(validation)
    steps = WINDOWS // settings.recipe.base.batch_size * settings.recipe.base.epochs // settings.recipe.validations
    step = Step("base", "fast", BATCH)
    took = min(seconds(step) for _ in range(3)) * settings.recipe.base.batch_size / BATCH
    record(
        "judge",
        {
            "seconds of takes": settings.recipe.rollout_seconds, "seconds, the first time": first,
            "seconds, again": again, "seconds of a base step": took,
            "steps between validations": steps, "share of the training": again / (steps * took),
        },
    )  # fmt: skip
