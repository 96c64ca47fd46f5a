"""Damaged evaluations that are compared: each is one sentence that names the file and says what to do."""

import json
from pathlib import Path

import numpy as np
import pytest

from semtalk.body import load_body
from semtalk.errors import SemTalkError
from semtalk.evaluation.comparison import compare
from semtalk.evaluation.evaluate import evaluate_folder
from semtalk.evaluation.files import read_files, read_speed
from semtalk.evaluation.result import Measured, Result, write_result
from semtalk.motion.io import Motion, save_motion
from semtalk.settings import compose

TAKES = {"a": 40, "b": 60}


def write_evaluation(folder, fgd=True):
    rng = np.random.default_rng(0)
    table = {row: {"fgd": 0.5, "mse": 1.0} if fgd else {"mse": 1.0} for row in ("fused", "truth")}
    per_take = [{"take": t, "row": row, "frames": n, "mse": 1.0} for t, n in TAKES.items() for row in table]
    features = {"fgd": {row: [rng.normal(size=(5, 4)) for _ in TAKES] for row in table}}
    found = {"source": "x", "sha256": "y"}
    result = Result("run", "test", 2, "legacy", "stand-in", True, found, "said", {}, table)
    write_result(result, {}, Measured(table, per_take, features if fgd else {}), folder)


def changed(path, **keys):
    path.write_text(json.dumps(json.loads(path.read_text()) | keys))


METRICS = {
    "cut": (lambda path: path.write_text("["), "not readable as json"),
    "bytes": (lambda path: path.write_bytes(bytes(range(256))), "not a text in UTF-8"),
    "deep": (lambda path: path.write_text("[" * 100_000), r"nested too deeply\); copy it again, or make it anew"),
    "a list": (lambda path: path.write_text("[]"), "it holds list, not dict"),
    "empty": (lambda path: path.write_text("{}"), "run: Field required; .* evaluate anew with"),
    "a number": (lambda path: changed(path, metrics=5), "metrics: Input should be a valid dictionary"),
    "text": (lambda path: changed(path, metrics={"fused": {"mse": "x"}}), "metrics.fused.mse: Input should be a valid"),
    "no row": (lambda path: changed(path, metrics={"truth": {}}), "it has no row fused or method in metrics"),
    "no hash": (lambda path: changed(path, embedder={}), "it has no embedder.sha256"),
}
PER_TAKE = {
    "missing": (lambda path: path.unlink(), "no such file, and a comparison draws from it; evaluate anew"),
    "empty": (lambda path: path.write_text(""), "it has no take of the row fused"),
    "header": (lambda path: path.write_text("take,row,frames,mse\n"), "it has no take of the row fused"),
    "text": (lambda path: path.write_text("take,row,frames,mse\na,fused,x,y\n"), "not a table of takes"),
    "short": (lambda path: path.write_text("take,row,frames,mse\na,fused\n"), "not a table of takes"),
    "long": (lambda path: path.write_text("take,row,frames\na,fused,4,3,2\n"), "not a table of takes"),
    "other": (lambda path: path.write_text("a,b\n1,2\n"), "not a table of takes"),
    "endless": (lambda path: path.write_text("take,row\n" + "a" * 200_000), "not a table of takes"),
    "bytes": (lambda path: path.write_bytes(bytes(range(256))), "not a text in UTF-8"),
}


def rows(lengths, rows):
    """An archive of feature rows of both rows of a table."""
    return {f"fgd/{row}": rows for row in ("fused", "truth")} | {
        f"fgd/{row}/lengths": lengths for row in ("fused", "truth")
    }


FEATURES = {
    "cut": (lambda path: path.write_bytes(path.read_bytes()[:300]), "not the embedder's features of these takes"),
    "another": (lambda path: np.savez(path, poses=np.zeros(3)), "not the embedder's features of these takes"),
    "flat": (lambda path: np.savez(path, **rows([1, 1], [1, 2])), "not the embedder's features"),
    "other takes": (
        lambda path: np.savez(path, **rows([1, 2, 3], np.zeros((6, 4)))),
        "not the embedder's features",
    ),
}
CASES = {
    f"{name}: {what}": (name, *case)
    for name, cases in {"metrics.json": METRICS, "per_take.csv": PER_TAKE, "features.npz": FEATURES}.items()
    for what, case in cases.items()
}


@pytest.mark.parametrize("case", CASES)
def test_a_damaged_evaluation_is_one_sentence(tmp_path, case):
    name, spoil, said = CASES[case]
    for folder in ("one", "two"):
        write_evaluation(tmp_path / folder)
    paths = [str(tmp_path / "one"), str(tmp_path / "two")]
    assert compare(paths, "test")["runs"][paths[0]]["fgd"]["value"] == 0.5
    spoil(tmp_path / "two" / name)
    with pytest.raises(SemTalkError, match=said) as error:
        compare(paths, "test")
    assert str(error.value).startswith(f"{tmp_path}/two/{name}: ") and "\n" not in str(error.value)


def test_fgd_is_left_out_where_a_run_was_measured_without_and_its_earlier_features_are_not_taken(tmp_path):
    paths = [str(tmp_path / name) for name in ("one", "two")]
    for path in paths:
        write_evaluation(Path(path))
    kept = tmp_path / "two" / "features.npz"
    features = kept.read_bytes()
    write_evaluation(tmp_path / "two", fgd=False)
    assert not kept.exists(), "they are of the evaluation before"
    kept.write_bytes(features)
    found = compare(paths, "test")
    assert {name for table in found["runs"].values() for name in table} == {"mse"}
    assert found["notes"][0].startswith(f"FGD is left out: {paths[1]} was measured without; measure each with one emb")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (np.full(55, np.nan), "no mean speeds; give finite numbers in m/s from 0, and not 0 alone"),
        (np.full(55, -1.0), "no mean speeds"),
        (np.zeros(55), "no mean speeds"),
        (np.ones(54), "give one array of the shape"),
        (np.array(["a"] * 55), "not a readable npy of plain numbers"),
        (np.ones(55, complex), "not a readable npy of plain numbers"),
        (np.array([None] * 55, dtype=object), "not a readable npy of plain numbers"),
        (b"", "not a readable npy of plain numbers"),
        (bytes(range(256)), "not a readable npy of plain numbers"),
    ],
)
def test_mean_speeds_are_finite_and_some_are_above_0(tmp_path, content, said):
    path = tmp_path / "speed.npy"
    np.save(path, np.arange(55))
    assert read_speed(str(path)).tolist() == list(range(55))
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        np.save(path, content)
    with pytest.raises(SemTalkError, match=f"mean_speed=.*speed.npy: {said}") as error:
        read_speed(str(path))
    assert "allow_pickle" not in str(error.value)


@pytest.mark.parametrize("key", ["motions", "truth"])
def test_a_take_that_is_too_short_for_fgd_is_named(tmp_path, key):
    for folder in ("motions", "truth"):
        frames = 10 if folder == key else 64
        arrays = (np.zeros((frames, *shape)) for shape in ((55, 3), (100,), (3,)))
        save_motion(tmp_path / folder / "short.npz", Motion(*arrays, np.zeros(300)))
    settings = compose("eval", f"motions={tmp_path}/motions", f"truth={tmp_path}/truth", f"embedder={tmp_path}")
    with pytest.raises(SemTalkError, match="short.npz: motion and truth have 10 frames in common, and FGD needs 32"):
        evaluate_folder(settings, read_files(settings), load_body(None))
