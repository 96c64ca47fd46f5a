"""Which process trains where, what a run was made with, and the list of runs."""

import json
import os
import signal
import subprocess
import sys
import time
import zipfile
from importlib.metadata import version
from pathlib import Path

import pytest
import torch
from conftest import ROOT, run_command, run_program
from tiny import TINY

from semtalk import SemTalkError, compose
from semtalk.__main__ import main
from semtalk.body import load_body
from semtalk.claim import FILE, claim, worker
from semtalk.data.datamodule import MotionDataModule
from semtalk.environment import environment, write_environment
from semtalk.files import checkpoint_facts
from semtalk.runs import PHASE_NAMES, read_phase, read_run, state_of
from semtalk.tasks import PHASES, Facts, fit_phase
from semtalk.tasks.keep import BEGUN

PHASE = "rvqvae_upper"
HOLD = "import sys; from pathlib import Path; from semtalk.claim import claim\nwith claim(Path(sys.argv[1])): {}"
WAIT = "print(1, flush=True); sys.stdin.read()"


def fit(folder, store, *overrides):
    plan = ["trainer=cpu", "trainer.precision=32-true", "+trainer.enable_progress_bar=false", "recipe.rvqvae.steps=4"]
    settings = compose("train", *TINY, *plan, "recipe.rvqvae.batch_size=8", "recipe.validations=1", *overrides)
    data = MotionDataModule(store, seed=0)
    return fit_phase(PHASE, settings, data, folder, Facts(store.speakers), load_body(None))


def holding(folder: Path, what: str = WAIT) -> subprocess.Popen:
    """A process that trains in a folder, and says so when it does."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD.format(what), str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        text=True, env=os.environ | {"PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    process.stdout.readline()
    return process


def listed(capsys, monkeypatch, *arguments: str) -> str:
    monkeypatch.setattr(sys, "argv", ["semtalk", "runs", *arguments])
    monkeypatch.setenv("COLUMNS", "180")
    main()
    return capsys.readouterr().out


@pytest.fixture(scope="module")
def run(store, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "first"
    fit(folder, store)
    return folder


def test_a_process_is_at_work_until_it_ends_and_dead_where_it_was_killed(tmp_path):
    assert worker(tmp_path) == ("", "")
    process = holding(tmp_path)
    assert worker(tmp_path)[0] == "at work" and f"process {process.pid} on" in worker(tmp_path)[1]
    with pytest.raises(SemTalkError, match=f"process {process.pid} on .* is training here"), claim(tmp_path):
        pass
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert worker(tmp_path)[0] == "dead" and f"process {process.pid} on" in worker(tmp_path)[1]
    with claim(tmp_path):  # one that died stands in nobody's way
        assert worker(tmp_path)[0] == "at work"
    assert worker(tmp_path) == ("", "")


def test_a_process_that_fails_or_is_stopped_is_not_dead(tmp_path):
    process = holding(tmp_path, "print(1, flush=True); sys.exit('the disk is full')")
    assert process.wait() == 1 and worker(tmp_path) == ("", "")


def test_a_number_that_another_process_has_now_is_not_mistaken_for_it(tmp_path):
    process = holding(tmp_path)
    process.kill()
    process.wait()
    (tmp_path / FILE).write_text((tmp_path / FILE).read_text().replace(str(process.pid), str(os.getpid())))
    assert worker(tmp_path)[0] == "dead"


def test_forked_readers_of_data_do_not_keep_a_training_at_work(tmp_path):
    with claim(tmp_path):
        reader = os.fork() if hasattr(os, "fork") else 0
        if reader == 0:
            try:
                time.sleep(600)
            finally:
                os._exit(0)
    try:
        assert worker(tmp_path) == ("", "")
    finally:
        os.kill(reader, signal.SIGKILL)
        os.waitpid(reader, 0)


@pytest.mark.parametrize("change", [{"host": "elsewhere"}, {"locked": False}])
def test_of_a_machine_that_cannot_be_asked_nothing_is_claimed(tmp_path, change):
    process = holding(tmp_path)
    process.kill()
    process.wait()
    content = json.loads((tmp_path / FILE).read_text()) | change
    (tmp_path / FILE).write_text(json.dumps(content))
    assert worker(tmp_path)[0] == "unknown"


def test_a_training_claims_its_phase(run, store, tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr("semtalk.tasks.keep.finish_checkpoint", lambda path, seconds: seen.append(worker(path.parent)))
    fit(tmp_path, store)
    assert not (tmp_path / PHASE / BEGUN).exists()
    assert seen[0][0] == "at work" and worker(tmp_path / PHASE) == ("", "")
    with claim(tmp_path / PHASE), pytest.raises(SemTalkError, match="is training here"):
        fit(tmp_path, store)


def test_a_checkpoint_is_read_without_torch(run):
    path = run / PHASE / "best.ckpt"
    found, whole = checkpoint_facts(path), torch.load(path, weights_only=True)
    assert found["semtalk"] == whole["semtalk"] and found["callbacks"] == whole["callbacks"]
    program = f"import sys; from semtalk.__main__ import main; sys.argv[1:] = ['runs', 'runs_dir={run.parent}']; main()"
    assert "finished" in run_program("-c", program).stdout
    assert "torch" not in run_program("-c", program + "; print(*sys.modules)").stdout.split()


def test_a_checkpoint_that_would_run_something_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "best.ckpt", "w") as file:
        file.writestr("archive/data.pkl", b"cos\nsystem\n(S'touch here'\ntR.")
    with pytest.raises(SemTalkError, match=r"best.ckpt: the pickle asks for \w+.system, which is refused"):
        checkpoint_facts(tmp_path / "best.ckpt")
    assert read_phase(tmp_path).state == "damaged"


def test_runs_are_listed_with_what_they_are(run, capsys, monkeypatch):
    (phase,) = read_run(run)
    assert (phase.name, phase.state, phase.step, phase.best) == (PHASE, "finished", None, 4)
    kept = torch.load(run / PHASE / "best.ckpt", weights_only=True)["callbacks"]["Keeper"]
    assert phase.numbers == kept["numbers"] and phase.seconds == kept["seconds"] > 0
    assert phase.size == sum(path.stat().st_size for path in (run / PHASE).iterdir())
    said = listed(capsys, monkeypatch, f"runs_dir={run.parent}")
    assert "first" in said and "1 of 8" in said and f"degrees {kept['numbers']['degrees']:.3g}" in said
    assert f"│ {PHASE} " in listed(capsys, monkeypatch, f"runs_dir={run.parent}", "name=first")


def test_a_run_that_was_stopped_is_unfinished_and_at_work_while_it_goes_on(run, tmp_path, store, capsys, monkeypatch):
    with pytest.raises(OSError, match="full"), monkeypatch.context() as broken:
        broken.setattr("semtalk.tasks.keep.finish_checkpoint", lambda *_: (_ for _ in ()).throw(OSError("full")))
        fit(tmp_path / "runs" / "stopped", store)
    (phase,) = read_run(tmp_path / "runs" / "stopped")
    assert phase.state == "unfinished" and phase.step == 4
    other = tmp_path / "runs" / "stopped" / "base"
    process = holding(other)
    assert state_of(read_run(other.parent)) == "at work"
    said = listed(capsys, monkeypatch, f"runs_dir={tmp_path}/runs")
    assert "at work" in said and "base" in said and f"process {process.pid}" in said
    process.kill()
    process.wait()
    assert state_of(read_run(other.parent)) == "dead"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["runs_dir=/nowhere"], "runs_dir=/nowhere: there is no such folder"),
        (["run=x"], "run=x: give runs_dir=DIR or name=NAME"),
        (["runs_dir=/tmp", "name=no_such_run"], "nothing was trained in /tmp/no_such_run"),
    ],
)
def test_a_wrong_list_is_one_sentence(monkeypatch, arguments, says):
    monkeypatch.setattr(sys, "argv", ["semtalk", "runs", *arguments])
    with pytest.raises(SystemExit, match=says):
        main()


def test_the_list_knows_every_phase():
    assert list(PHASE_NAMES) == list(PHASES)


def test_a_run_says_what_it_was_trained_with(run):
    found = json.loads((run / PHASE / "environment.json").read_text())
    assert found["device"] == "cpu" and found["versions"]["torch"] == version("torch")
    assert found["machine"]["threads"] == torch.get_num_threads() and found["machine"]["cores"] > 0
    assert found == json.loads(json.dumps(environment("cpu")))


def test_a_resumed_training_keeps_the_environment_that_it_began_in(run, store, tmp_path, monkeypatch):
    fit(tmp_path, store)
    monkeypatch.setattr("semtalk.environment.versions", lambda: {"semtalk": "9"})
    fit(tmp_path, store, "resume=true", "recipe.rvqvae.steps=8")
    found = json.loads((tmp_path / PHASE / "environment.json").read_text())
    assert found["versions"] == {"semtalk": "9"}
    assert found["earlier"] == [json.loads((run / PHASE / "environment.json").read_text())]


def test_the_commit_is_that_of_the_checkout_and_of_nothing_around_it(tmp_path, monkeypatch):
    def git(*arguments):
        subprocess.run(["git", "-C", tmp_path, "-c", "user.name=a", "-c", "user.email=a", *arguments], check=True)

    monkeypatch.setattr("semtalk.environment.CHECKOUT", tmp_path / "inside")
    (tmp_path / "inside").mkdir()
    git("init", "-q")
    git("commit", "-q", "--allow-empty", "-m", "one")
    assert environment("cpu")["commit"] is None and environment("cpu")["dirty"] is None
    monkeypatch.setattr("semtalk.environment.CHECKOUT", tmp_path)
    assert len(environment("cpu")["commit"]) == 40 and environment("cpu")["dirty"] is False
    (tmp_path / "inside" / "new.py").touch()
    assert environment("cpu")["dirty"] is True


def test_an_environment_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    write_environment(tmp_path, "cpu")
    before = (tmp_path / "environment.json").read_bytes()
    with monkeypatch.context() as broken, pytest.raises(OSError, match="gone"):
        broken.setattr(os, "replace", lambda *_: (_ for _ in ()).throw(OSError("gone")))
        write_environment(tmp_path, "cuda:0")
    assert (tmp_path / "environment.json").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["environment.json"]


def test_every_result_says_what_it_was_made_with(smoke):
    folder, arguments = smoke
    run_command("eval.py", *arguments, "video=false")
    sound = f"audio={ROOT}/examples/spoken.flac"
    run_command("generate.py", *arguments, sound, "transcript=none", "video=false", f"out={folder}/out")
    for place in (folder / "runs" / "smoke" / "eval" / "test", folder / "out"):
        assert json.loads((place / "environment.json").read_text())["device"] == "cpu"
