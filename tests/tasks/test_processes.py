"""Several processes train as one does that has all their windows in a batch."""

import csv
import os
import resource
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from conftest import ROOT, run_command, run_program
from pytorch_lightning.utilities.rank_zero import rank_zero_only
from tiny import tiny_settings, tiny_tokenizer, training_batch

from semtalk.body import load_body
from semtalk.errors import SemTalkError
from semtalk.log import LOG
from semtalk.losses import global_consistency
from semtalk.models.quantizer import ResidualQuantizer
from semtalk.processes import refuse_different
from semtalk.settings import compose
from semtalk.settings.commands import CHAIN
from semtalk.tasks.dry_run import fresh_task
from semtalk.tasks.fit import processes_of
from semtalk.tasks.phases import PHASES
from semtalk.tasks.speed import warn_of_shared_cores
from semtalk.tasks.stage import Frozen
from semtalk.tasks.together import one_sentence

WINDOWS = 8
ALONE = (
    "model.network.dropout=0.0",
    "model.network.local_dropout=0.0",
    "model.rvqvae.dropout=0.0",
    "model.rvqvae.noise=0.0",
    "features.noise=0.0",
    "model.alignment.dropout=0.0",
    "model.alignment.noise=0.0",
)
"""Without what is drawn for each window by itself; masks hide nothing in the first step."""
LEVELS = ("model.rvqvae.quantizer_dropout=0.5", "recipe.rvqvae.shift=true")


def batch_of() -> dict[str, torch.Tensor]:
    """Windows of a step, of which the first have no labels."""
    batch = training_batch(WINDOWS)
    batch["semantic"][: WINDOWS // 4] = torch.nan
    return batch


def trained(phase: str, rank: int, world: int) -> dict[str, dict[str, torch.Tensor]]:
    """Gradients of a first step, and what it leaves in the network: codes that move, and those that restart.

    A tokenizer's step is taken in float64, since which code is the nearest may hang on a single's last digits.
    """
    torch.manual_seed(0)
    batch = {name: value[rank::world] for name, value in batch_of().items()}
    settings = tiny_settings(*ALONE, *LEVELS)
    task = fresh_task(phase, settings, 2, load_body(None), progress=0.0).train()
    if hasattr(task, "_tokenizer"):
        task._tokenizer = Frozen(tiny_tokenizer())
    if phase.startswith("rvqvae"):  # codes that lie apart: among residuals of 0 the nearest is one of rounding
        for level in task.network.quantizer.levels:
            level.codebook.normal_(std=0.3), level.initialised.fill_(True)
            level.counts.fill_(level.dead_below), level.sums.copy_(level.codebook * level.dead_below)
        task.double()
        batch = {name: value.double() if value.is_floating_point() else value for name, value in batch.items()}
    task.alike.manual_seed(1)
    task.total(task.losses(batch)).backward()
    gradients = {name: p.grad for name, p in task.network.named_parameters() if p.grad is not None}
    for gradient in gradients.values():
        if world > 1:
            torch.distributed.all_reduce(gradient)
        gradient /= world
    return {"gradients": gradients, "state": task.network.state_dict()}


def _work(rank: int, world: int, folder: str, work) -> None:
    torch.set_num_threads(1)
    torch.distributed.init_process_group("gloo", f"file://{folder}/meet{world}", rank=rank, world_size=world)
    torch.save(work(rank, world), f"{folder}/{world}_{rank}.pt")
    torch.distributed.destroy_process_group()


def together(work, world: int, folder) -> list:
    """What each of some processes makes of ``work(rank, world)``."""
    torch.multiprocessing.spawn(_work, args=(world, str(folder), work), nprocs=world)
    return [torch.load(folder / f"{world}_{rank}.pt", weights_only=True) for rank in range(world)]


def every_phase(rank: int, world: int) -> dict[str, dict[str, dict[str, torch.Tensor]]]:
    return {phase: trained(phase, rank, world) for phase in PHASES}


@pytest.fixture(scope="module")
def one():
    return every_phase(0, 1)


def everything(rank: int, world: int) -> dict:
    """What the tests of several processes look at, in one start of them."""
    return {
        "phases": every_phase(rank, world),
        **{work.__name__: work(rank, world) for work in (begun, different, pooled)},
    }


@pytest.fixture(scope="module", params=[2, pytest.param(4, marks=pytest.mark.slow)])
def several(request, tmp_path_factory):
    """What each of some processes found."""
    return together(everything, request.param, tmp_path_factory.mktemp("together"))


def test_several_processes_train_as_one_does(one, several):
    for rank, processes in enumerate(several):
        found = processes["phases"]
        for phase, expected in one.items():
            assert found[phase]["gradients"].keys() == expected["gradients"].keys()
            norm = torch.nn.utils.get_total_norm(expected["gradients"].values())
            for name, gradient in expected["gradients"].items():
                error = (found[phase]["gradients"][name] - gradient).norm()
                assert error <= 1e-5 * norm, (phase, rank, name)
            for name, value in expected["state"].items():
                own = found[phase]["state"][name]
                assert torch.allclose(own.float(), value.float(), rtol=1e-4, atol=1e-5), (phase, rank, name)


def begun(rank: int, world: int) -> torch.Tensor:
    windows = torch.randn(8, 6, 4, generator=torch.Generator().manual_seed(0))
    quantizer = ResidualQuantizer(2, 16, 4, decay=1.0, dead_below=0.0, dropout=0.0).train()
    quantizer(windows[rank::world])
    return quantizer.levels[0].codebook


def test_codes_begin_with_the_windows_of_all_processes(several):
    assert all(torch.equal(found["begun"], begun(0, 1)) for found in several)


def different(rank: int, world: int) -> str:
    try:
        refuse_different({"version": "1", "configuration": f"of {rank == world - 1}"})
    except SemTalkError as error:
        return str(error)
    return ""


def test_a_process_with_another_configuration_is_refused_by_all(several):
    said = [found["different"] for found in several]
    last = len(several) - 1
    assert len(set(said)) == 1 and f"process {last} of the training has another configuration than process 0" in said[0]


def pooled(rank: int, world: int) -> torch.Tensor:
    motion, speech = torch.randn(2, 8, 5, 4, generator=torch.Generator().manual_seed(0))
    return global_consistency(motion[rank::world], speech[rank::world], everyone=world > 1)


def test_clips_of_all_processes_are_the_negatives(several):
    found = [process["pooled"] for process in several]
    assert torch.stack(found).mean().item() == pytest.approx(pooled(0, 1).item(), rel=1e-5)


WAITING = """
import signal, time
from semtalk.tasks.together import ended_by_signals
signal.signal(signal.SIGTERM, lambda *_: None)  # as one that is not heard
began, validates, takes = time.monotonic(), {}, {}
with ended_by_signals(lambda: time.monotonic() - began < validates, {}):
    print("waits", flush=True)
    time.sleep(takes)
print("went on")
"""


@pytest.mark.parametrize(
    ("validates", "takes", "grace", "status"),
    [(0, 60, 0.2, 128 + signal.SIGTERM), (0, 0.5, 60, 0), (60, 2, 0.2, 0), (2, 60, 0.2, 128 + signal.SIGTERM)],
)
def test_a_process_that_waits_for_good_ends_some_time_after_a_signal(validates, takes, grace, status):
    command = [sys.executable, "-c", WAITING.format(validates, takes, grace)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        process.stdout.readline()
        process.terminate()
        out, error = process.communicate(timeout=30)
    assert process.returncode == status and "Traceback" not in error
    assert ("the training still waits for another process" in error) == (status != 0)
    assert ("went on" in out) == (status == 0)


def curves(folder: Path, phase: str) -> list[dict[str, str]]:
    with (folder / phase / "metrics.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


LOWER = ("stage=rvqvae", "parts=[lower]")
CPU = ("trainer.accelerator=cpu", "+trainer.enable_progress_bar=false")
TWO = (*CPU, "trainer.devices=2", "trainer.strategy=ddp")


@pytest.mark.slow
def test_two_processes_train_as_one_does_with_twice_the_batch(smoke):
    """Levels are left out, which once had one process wait for good for the other."""
    folder, places = smoke
    same = [*places, *ALONE, *LEVELS, *LOWER, "recipe.rvqvae.steps=1"]
    run_program("train.py", *same, *CPU, "name=one", "recipe.rvqvae.batch_size=16")
    said = run_program("train.py", *same, *TWO, "name=two", "recipe.rvqvae.batch_size=8")
    assert said.stdout.count("Trained ") == said.stdout.count("rvqvae_lower\n") == 1, "one process speaks"
    one, two = (
        [row for row in curves(folder / "runs" / name, "rvqvae_lower") if row["val/loss"]] for name in ("one", "two")
    )
    assert [row["step"] for row in one] == [row["step"] for row in two] and one
    for name in ("val/loss", "val/degrees"):  # which residuals of 0 go to which code is a matter of rounding
        assert [float(row[name]) for row in two] == pytest.approx([float(row[name]) for row in one], rel=0.05), name
    states = [
        torch.load(folder / "runs" / name / "rvqvae_lower" / "last.ckpt", weights_only=True) for name in ("one", "two")
    ]
    assert states[0]["global_step"] == states[1]["global_step"] == 1


OF_A_BATCH = {"val/loss", "val/global", "val/classification", "val/latent"}
"""What validation of base and sparse says of a batch: masks are drawn for it, and negatives are in it."""


@pytest.mark.slow
def test_two_processes_take_the_first_step_of_every_phase_as_one_does(smoke):
    """By Adam's mean of the gradients, and by the validation after it, which both take part in.

    With a rate of next to nothing: a first step of Adam makes much of rounding, and codes jump. Those of an RVQ-VAE do
    so all the same: which residuals of 0 go to which code is a matter of rounding.
    """
    folder, places = smoke
    phases = ("rvqvae", "translation", "fgd", "base", "sparse")
    same = [*places, *ALONE, *(f"recipe.{phase}.{key}" for phase in phases for key in ("steps=1", "lr=1e-12"))]
    one, two = ([f"recipe.{phase}.batch_size={size}" for phase in phases] for size in (16, 8))
    tokenizer = f"tokenizer={folder}/runs/one"  # whose codebooks are those of one process to the last bit
    run_program("train.py", *same, *CPU, *one, "stage=all", "name=one")
    for name, more in (("two", ["stage=all"]), ("codes_of_one", ["stage=semtalk", tokenizer])):
        assert "sync_dist" not in run_program("train.py", *same, *TWO, *two, f"name={name}", *more).stderr
    for phase in CHAIN:
        runs = [folder / "runs" / name for name in ("one", "codes_of_one" if phase in ("base", "sparse") else "two")]
        states = [
            torch.load(run / phase / "last.ckpt", weights_only=True)["optimizer_states"][0]["state"] for run in runs
        ]
        largest = max(float(state["exp_avg"].abs().max()) for state in states[0].values())
        for number, state in states[0].items():
            error = (state["exp_avg"] - states[1][number]["exp_avg"]).abs().max()
            assert error < 1e-2 * largest, (phase, float(error / largest))
        (first,), (second,) = ([row for row in curves(run, phase) if row["val/loss"]] for run in runs)
        said = {name for name, value in second.items() if name.startswith("val/") and value}
        rvqvae, of_a_batch = phase.startswith("rvqvae"), OF_A_BATCH if phase in ("base", "sparse") else set()
        for name in {"val/loss", "val/degrees"} if rvqvae else said - of_a_batch:
            close = pytest.approx(float(first[name]), rel=0.05 if rvqvae else 1e-3, abs=1e-4, nan_ok=True)
            assert float(second[name]) == close, (phase, name)
    assert {path.name for path in (folder / "runs" / "two").iterdir()} == set(CHAIN)


def words_of(number: int) -> bytes:
    """Command line of a process; none where it has ended."""
    there = Path(f"/proc/{number}/cmdline")
    return there.read_bytes() if there.is_file() else b""


def started_by(number: int) -> list[int]:
    """Processes that a process has started."""
    return [int(one) for one in Path(f"/proc/{number}/task/{number}/children").read_text().split()]


def second(first: int) -> int:
    """The second process of a training, among what else the first one has started."""
    return next(one for one in started_by(first) if b"train.py" in words_of(one))


@pytest.mark.slow
@pytest.mark.parametrize("what", ["killed", "full disk"])
def test_where_one_process_is_gone_the_other_says_so_in_one_sentence_and_the_training_goes_on(smoke, what):
    folder, places = smoke
    name = f"name={what.replace(' ', '_')}"
    same = [*places, *LOWER, *TWO, name, "recipe.rvqvae.batch_size=8"]
    command = [sys.executable, "train.py", *same, "recipe.rvqvae.steps=100000", "checkpoint_minutes=0.001"]
    run = folder / "runs" / name.removeprefix("name=") / "rvqvae_lower"
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        while not (run / "last.ckpt").is_file() and process.poll() is None:
            time.sleep(0.2)
        try:
            if what == "killed":
                os.kill(second(process.pid), signal.SIGKILL)
            else:
                resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (1000, 1000))
            said = process.communicate(timeout=60)[1]
        finally:
            process.kill()
    assert process.returncode and "Traceback" not in said
    gone = f"another process of the training is gone; the same command with resume=true goes on from {run}/last.ckpt"
    assert gone in said
    assert what == "killed" or "error: the disk: File too large; nothing half-written is left." in said
    reached = torch.load(run / "last.ckpt", weights_only=True)["global_step"]
    more = [f"recipe.rvqvae.steps={reached + 2}", "resume=true"]
    said = run_program("train.py", *same, "trainer.devices=1", "recipe.rvqvae.batch_size=16", *more).stdout
    assert "windows so far" not in said, "one process with the batch of both goes on as they would"
    assert torch.load(run / "last.ckpt", weights_only=True)["global_step"] == reached + 2


@pytest.mark.slow
def test_a_signal_to_one_process_stops_all_of_them_after_the_same_step(smoke):
    folder, places = smoke
    same = [*places, *LOWER, *TWO, "name=asked", "recipe.rvqvae.batch_size=8", "recipe.rvqvae.steps=100000"]
    command = [sys.executable, "train.py", *same, "checkpoint_minutes=0.001"]
    run = folder / "runs" / "asked" / "rvqvae_lower"
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        while not (run / "last.ckpt").is_file() and process.poll() is None:
            time.sleep(0.2)
        try:
            os.kill(second(process.pid), signal.SIGTERM)
            said, error = process.communicate(timeout=60)
        finally:
            process.kill()
    reached = torch.load(run / "last.ckpt", weights_only=True)["global_step"]
    assert process.returncode == 128 + signal.SIGTERM and f"Stopped: rvqvae_lower is at step {reached};" in said, error


@pytest.mark.slow
def test_a_process_that_never_comes_is_one_sentence_after_the_time_that_is_waited(smoke):
    folder, places = smoke
    words = [*places, *LOWER, *CPU, "name=alone", "trainer.devices=1", "+trainer.num_nodes=2", "trainer.strategy=ddp"]
    command = [sys.executable, "train.py", *words, "+trainer.wait_minutes=0.05"]
    nodes = [
        subprocess.Popen(
            command, cwd=ROOT, env=os.environ | {"NODE_RANK": str(node), "MASTER_ADDR": "127.0.0.1"} | port,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for node, port in ((0, {}), (1, {"MASTER_PORT": "9"}))
    ]  # fmt: skip
    for node in nodes:
        said = node.communicate(timeout=200)[1]
        assert node.returncode == 1 and said.startswith("error: rvqvae_lower: not all processes of the training came (")
        assert said.count("\n") == 1 and "reaches the first one" in said, said


@pytest.mark.slow
@pytest.mark.parametrize(
    "what", ["value of model.rvqvae.width", "digest of its code", "step to go on from", "digest of its takes"]
)
def test_nodes_that_differ_are_refused_in_one_sentence_each(smoke, tmp_path, what):
    """Networks that do not fit, code that is not committed, a checkpoint or a bad take on the disk of one alone."""
    folder, words = smoke
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    places = [tmp_path / "first", tmp_path / "second"]
    for place in places:
        for name in ("semtalk", "configs"):
            shutil.copytree(ROOT / name, place / name, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(ROOT / "train.py", place)
    if "code" in what:
        (places[1] / "semtalk" / "losses.py").open("a").write("# not committed\n")
    if "takes" in what:
        for place in places:
            shutil.copytree(folder / "data", place / "data")
        next((places[1] / "data" / "smoke").rglob("1_ada_0_1_1.npz")).write_bytes(b"cut short")
    data = "data" if "takes" in what else folder / "data"
    command = ["train.py", words[0], f"data_dir={data}", "runs_dir=runs", "name=nodes", *LOWER, *CPU]
    if "step" in what:
        run_program(*command, "recipe.rvqvae.steps=1", cwd=places[0], PYTHONPATH=str(places[0]))
    command += ["recipe.rvqvae.steps=3", "resume=true", "+trainer.num_nodes=2", "trainer.strategy=ddp"]
    own = ([], ["model.rvqvae.width=48"] if "width" in what else [])
    nodes = [
        subprocess.Popen(
            [sys.executable, *command, "+trainer.wait_minutes=1", *own[node]], cwd=places[node], text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            env=os.environ | {"NODE_RANK": str(node), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
            | {"PYTHONPATH": str(places[node])},
        )
        for node in (0, 1)
    ]  # fmt: skip
    for node in nodes:
        said = node.communicate(timeout=200)[1]
        assert node.returncode == 1 and said.count("\n") == 1, said
        assert f"process 1 of the training has another {what} than process 0" in said


@pytest.mark.slow
def test_where_the_agent_of_a_node_is_killed_its_process_ends_and_the_others_say_so(smoke):
    folder, places = smoke
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--nnodes=2", "--nproc-per-node=1"]
    torchrun += ["--rdzv-backend=c10d", f"--rdzv-endpoint=127.0.0.1:{port}"]
    same = ["train.py", *places, *LOWER, *CPU, "name=agents", "recipe.rvqvae.batch_size=8"]
    more = ["trainer.devices=1", "+trainer.num_nodes=2", "trainer.strategy=ddp", "recipe.rvqvae.steps=100000"]
    run = folder / "runs" / "agents" / "rvqvae_lower"
    nodes, workers = [], []
    for _ in range(2):
        process = subprocess.Popen(
            [*torchrun, *same, *more, "checkpoint_minutes=0.001"], cwd=ROOT, text=True, stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
        )  # fmt: skip
        nodes.append(process)
        while process.poll() is None and socket.socket().connect_ex(("127.0.0.1", port)):
            time.sleep(0.2)  # the first one is to keep the rendezvous
    try:
        while not (run / "last.ckpt").is_file() and all(node.poll() is None for node in nodes):
            time.sleep(0.2)
        workers = [one for node in nodes for one in started_by(node.pid)]
        nodes[1].kill()
        said = nodes[0].communicate(timeout=60)[1]
        assert nodes[0].returncode and said.count("rvqvae_lower: another process of the training is gone") == 1
        until = time.monotonic() + 60
        while (left := [one for one in workers if words_of(one)]) and time.monotonic() < until:
            time.sleep(0.2)  # nothing else ends them
        assert not left
    finally:
        workers += [one for node in nodes if node.poll() is None for one in started_by(node.pid)]
        for node in nodes:
            node.kill()
        for one in filter(words_of, {*workers}):  # which would train for good
            os.kill(one, signal.SIGKILL)
    reached = torch.load(run / "last.ckpt", weights_only=True)["global_step"]
    run_program(
        "train.py", *same[1:], "recipe.rvqvae.batch_size=16", f"recipe.rvqvae.steps={reached + 1}", "resume=true"
    )
    assert torch.load(run / "last.ckpt", weights_only=True)["global_step"] == reached + 1


@pytest.mark.parametrize("there", [True, False])
def test_what_is_said_of_a_process_that_is_gone_knows_whether_there_is_a_checkpoint(tmp_path, there):
    last = tmp_path / "last.ckpt"
    if there:
        last.touch()
    said = f"goes on from {last}" if there else "begins it again, without a checkpoint"
    with pytest.raises(SemTalkError, match=said), one_sentence(tmp_path):
        raise RuntimeError("[gloo/transport/tcp/pair.cc] Connection closed by peer")


def test_strategies_that_copy_a_process_are_refused():
    with pytest.raises(SemTalkError, match="trainer.strategy=ddp_spawn: its processes are copies.*strategy=ddp,"):
        processes_of(compose("train", "trainer=cpu", "trainer.devices=2", "trainer.strategy=ddp_spawn").trainer)


def test_processes_of_torchrun_that_would_train_each_by_itself_are_refused(monkeypatch):
    monkeypatch.setattr(rank_zero_only, "rank", 0)  # Lightning takes it from what follows, for good
    started = {"RUN_ID": "a", "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", "RANK": "1", "LOCAL_RANK": "1"}
    for name, value in started.items():
        monkeypatch.setenv(f"TORCHELASTIC_{name}" if name == "RUN_ID" else name, value)
    with pytest.raises(SemTalkError, match="torchrun has started 2 processes, and each would train by itself"):
        processes_of(compose("train", "trainer=cpu").trainer)
    assert processes_of(compose("train", "trainer=cpu", "trainer.devices=2", "trainer.strategy=ddp").trainer) == 2


def test_processes_that_share_cores_are_warned_of(caplog):
    for devices, warned in ((4096, True), (1, False)):
        caplog.clear()
        warn_of_shared_cores(compose("train", "trainer=cpu", f"trainer.devices={devices}").trainer)
        assert ("trainer.devices=4096: these processes share" in caplog.text) == warned


@pytest.mark.parametrize("rank", [0, 1])
def test_one_process_warns_of_shared_cores(smoke, monkeypatch, rank):
    monkeypatch.setattr(rank_zero_only, "rank", rank)
    monkeypatch.setattr(LOG, "level", LOG.level)
    said = run_command("train.py", *smoke[1], *CPU, "trainer.devices=4096", "trainer.strategy=ddp", check=False)
    assert said.returncode == 1 and "too few for 4096 processes" in said.stderr
    assert said.stdout.count("these processes share") == (rank == 0)
