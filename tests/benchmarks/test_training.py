"""Steps that are timed are steps of a training."""

import math

import pytest

from benchmarks.training import PLANS, Step


@pytest.mark.parametrize("plan", PLANS)
def test_a_step_of_every_plan_changes_weights(plan):
    step = Step("base", plan, 2, compiled=False, sizes=("model=small", "recipe=paper", "trainer.precision=32-true"))
    before = {name: value.clone() for name, value in step.task.network.state_dict().items()}
    assert math.isfinite(step())
    assert any(not value.equal(before[name]) for name, value in step.task.network.state_dict().items())
