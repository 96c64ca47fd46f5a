"""What the tests are run on: other CPUs' instructions, threads and precisions, and every version that is promised."""

import itertools
import re
import tomllib

import torch
import yaml
from conftest import PRECISION, ROOT, THREADS

from semtalk.settings import compose
from semtalk.tasks.speed import resolve_plan

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
MAKEFILE = (ROOT / "Makefile").read_text()
MACHINES = re.search(r"^MACHINES \?= (.+)$", MAKEFILE, flags=re.M)[1].split()


def test_machines_have_every_pair_of_values():
    values = [("default", "avx2"), ("1", "2"), ("32-true", "bf16-mixed")]
    machines = [machine.split(":") for machine in MACHINES]
    for first, second in itertools.combinations(range(3), 2):
        pairs = {(machine[first], machine[second]) for machine in machines}
        assert pairs == set(itertools.product(values[first], values[second]))
    assert "ONEDNN_MAX_CPU_ISA=AVX2" in MAKEFILE


def test_the_workflow_runs_what_is_promised():
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text())
    job = workflow["jobs"]["portable"]
    matrix = job["strategy"]["matrix"]
    pythons = re.findall(r"Python :: (3\.\d+)", " ".join(PROJECT["classifiers"]))
    oldest = next(name.removeprefix("torch>=") for name in PROJECT["dependencies"] if name.startswith("torch>="))
    assert matrix["machine"] == MACHINES and matrix["python"] == pythons
    assert matrix["torch"] == [f"torch=={oldest}.*", "torch"]
    assert any("make test-portable" in step.get("run", "") for step in job["steps"])


def test_tests_run_on_what_they_are_told():
    assert torch.get_num_threads() == int(THREADS)
    settings = compose("train", "trainer=cpu")
    picked = resolve_plan(settings.trainer, settings.speed)[0].precision
    assert picked == PRECISION if PRECISION else picked in ("32-true", "bf16-mixed")
