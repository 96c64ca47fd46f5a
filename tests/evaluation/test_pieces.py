"""An evaluation goes through its takes some at a time: the same numbers, and no more takes in memory than those."""

import gc
import json
import os
import signal
from dataclasses import asdict
from functools import partial

import numpy as np
import pytest
import torch

from semtalk.data.store import mean_joint_speed
from semtalk.errors import SemTalkError
from semtalk.evaluation import evaluate as module
from semtalk.evaluation import shares
from semtalk.evaluation.evaluate import evaluate_run
from semtalk.evaluation.files import read_files
from semtalk.evaluation.measure import Measurement
from semtalk.evaluation.shares import in_processes, joined
from semtalk.evaluation.takes import Shown, Take, TakeMaker
from semtalk.metrics import hearing as H
from semtalk.motion import Motion
from semtalk.motion.io import save_motion
from semtalk.settings import compose


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """Processes that share a machine of two cores have one each, and sums depend on how many share them."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def evaluated(smoke, body):
    """Evaluates the smoke run's test takes, so many at once."""
    from semtalk.data.open import open_corpus, open_store

    folder, words = smoke
    settings = compose("eval", *words, "metrics=extended", "samples=2")
    corpus = open_corpus(settings.data)
    store = open_store(settings, corpus, body)
    speed = mean_joint_speed(store, corpus, body)

    def run(at_once: int, seen=lambda takes: None, processes: int = 1):
        run = folder / "runs" / "smoke"
        cpu = torch.device("cpu")
        return evaluate_run(settings, settings, run, store, corpus, speed, body, cpu, seen, processes, at_once)

    return run


@pytest.fixture(scope="module")
def at_once(evaluated):
    """Result and numbers of all takes at once, and the takes."""
    takes: list[Take] = []
    return *evaluated(32, takes.extend), takes


@pytest.fixture(scope="module")
def alone(evaluated):
    """Result and numbers of one take after another, and the takes."""
    takes: list[Take] = []
    return *evaluated(1, takes.extend), takes


def test_takes_some_at_a_time_give_the_same_numbers(evaluated, at_once, alone):
    whole, numbers, _ = at_once
    assert whole.takes == 4 and whole.hearing and whole.known_answers and whole.gate and whole.samples["diversity"] > 0
    for found, pieces in (alone[:2], evaluated(3)):
        for name in ("metrics", "hearing", "known_answers", "gate", "samples"):
            got, wanted = (dict(flat(getattr(result, name))) for result in (found, whole))
            assert got == pytest.approx(wanted, rel=1e-3, abs=1e-4, nan_ok=True), name
        assert [one["take"] for one in pieces.per_take] == [one["take"] for one in numbers.per_take]
        assert all(len(pieces.features["fgd"][row]) == 4 for row in module.ROWS)


def test_processes_that_share_the_takes_find_the_same_to_the_last_digit(evaluated, alone):
    shared: list[Take] = []
    wanted, numbers, takes = alone
    found, others = evaluated(1, shared.extend, processes=2)
    assert json.dumps(asdict(found)) == json.dumps(asdict(wanted))  # where what is no number equals itself
    assert json.dumps(others.per_take) == json.dumps(numbers.per_take)
    for row, features in numbers.features["fgd"].items():
        assert all(np.array_equal(a, b) for a, b in zip(features, others.features["fgd"][row], strict=True)), row
    assert [take.id for take in shared] == [take.id for take in takes]
    assert torch.equal(shared[3].rotation["fused"], takes[3].rotation["fused"])


def killed(number: int) -> int:
    if number == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def threads_of(number: int) -> int:
    return torch.get_num_threads()


def test_processes_have_no_more_threads_than_the_one_that_begins_them(monkeypatch):
    from joblib.externals.loky import get_reusable_executor

    get_reusable_executor().shutdown()
    monkeypatch.setattr(shares, "cores", lambda: 8)
    for name in ("OMP", "MKL", "OPENBLAS"):
        monkeypatch.setenv(f"{name}_NUM_THREADS", "2")
    assert list(in_processes(partial(partial, threads_of), 2, 2)) == [1, 1]


def test_a_process_that_is_killed_is_one_sentence():
    assert list(in_processes(partial(partial, abs), 3, 2)) == [0, 1, 2]
    with pytest.raises(SemTalkError, match="processes=2: one of them was killed, .*; give fewer"):
        list(in_processes(partial(partial, killed), 4, 2))


def test_what_was_found_is_joined_in_its_order():
    first, second = H.Mean(), H.Mean()
    first.add(np.ones(3)), second.add(np.zeros(1))
    found = joined({"a": [1], "b": first, "c": None, "d": 1.5}, {"a": [2], "b": second, "c": None, "d": 1, "e": [0]})
    assert found["a"] == [1, 2] and found["b"].value == 0.75 and found["d"] == 2.5 and found["e"] == [0]
    assert first.count == 3, "what is joined stays"


def flat(table: dict, prefix: str = ""):
    for key, value in table.items():
        yield from flat(value, f"{prefix}{key} ") if isinstance(value, dict) else [(prefix + key, value)]


@pytest.fixture
def frozen():
    """What is there before is not looked through: it is most of it."""
    gc.freeze()
    yield
    gc.unfreeze()


def test_no_more_takes_are_in_memory_than_are_measured_together(evaluated, monkeypatch, frozen):
    alive, make = [], TakeMaker.rollout

    def count(*args, **kwargs):
        gc.collect()
        alive.append(sum(type(one) is Take for one in gc.get_objects()))
        return make(*args, **kwargs)

    monkeypatch.setattr(TakeMaker, "rollout", count)
    shown = Shown(2.0)
    evaluated(1, shown)
    assert max(alive) == 2 and alive.count(2) < len(alive), "the one at hand, and the one to look at"
    assert shown.take is not None


def test_the_take_to_look_at_is_the_same_however_many_come_at_once(at_once):
    *_, takes = at_once
    chosen = []
    for count in (1, 2, 4):
        shown = Shown(None)
        for begin in range(0, 4, count):
            shown(takes[begin : begin + count])
        chosen.append(shown.take)
    assert chosen[0] is chosen[1] is chosen[2]


def test_likeness_of_signals_that_come_one_by_one_is_that_of_all():
    rng = np.random.default_rng(0)
    true = [rng.normal(size=(length, 12)) * np.arange(12) for length in (40, 70)]
    own = [0.5 * take + rng.normal(size=take.shape) for take in true]
    own[0][:, 3], own[1][:, 3] = 1.0, 2.0
    found, mean = H.Likeness(), H.Mean()
    assert np.isnan(mean.value)
    for a, b in zip(own, true, strict=True):
        found.add(a, b)
        mean.add(a)
    assert np.allclose(found.correlation(), H.correlation(own, true), equal_nan=True)
    assert np.allclose(found.amplitude_ratio(), H.amplitude_ratio(own, true), equal_nan=True)
    assert np.isnan(found.correlation()[3]) and np.isnan(found.amplitude_ratio()[0])
    assert found.error.value == pytest.approx(H.squared_error(own, true))
    assert found.most_varying(4).tolist() == [11, 10, 9, 8]
    assert mean.value == pytest.approx(np.concatenate(own).mean())


def test_files_of_a_folder_are_read_one_take_after_another(body, tmp_path, monkeypatch, frozen):
    rng = np.random.default_rng(0)
    for kind in ("motions", "truth"):
        (tmp_path / kind).mkdir()
        for number in range(5):
            poses = (0.1 * rng.normal(size=(70, 55, 3))).astype(np.float32)
            still = np.zeros((70, 100), np.float32), np.zeros((70, 3), np.float32), np.zeros(300, np.float32)
            save_motion(tmp_path / kind / f"{number}.npz", Motion(poses, *still))
    settings = compose("eval", f"motions={tmp_path}/motions", f"truth={tmp_path}/truth", "metrics=extended")
    alive, measure = [], Measurement.of

    def count(self, take):
        alive.append(sum(type(one) is Take for one in gc.get_objects()))
        return measure(self, take)

    monkeypatch.setattr(Measurement, "of", count)
    result, measured = module.evaluate_folder(settings, read_files(settings), body)
    assert result.takes == 5 and len(measured.per_take) == 15 and result.hearing
    assert alive == [1] * 5
