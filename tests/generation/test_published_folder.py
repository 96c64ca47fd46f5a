"""What a published model is written to and from, where files are damaged or somebody else's."""

import json

import pytest
import torch

from semtalk.errors import SemTalkError
from semtalk.generation.publish import read_results, refuse_others, save_run
from semtalk.tasks.stamp import digest

WEIGHTS = {"base": {"a": torch.zeros(2)}}
METRICS = {
    "metrics": {"fused": {"mse": 1.0}}, "split": "test", "takes": 2, "protocol": "legacy", "body": "stand-in",
    "stand_in": True, "weights": {"base": digest(WEIGHTS["base"])},
}  # fmt: skip


def others(folder):
    folder.mkdir()
    (folder / "README.md").write_text("my own")
    (folder / "vocab.json").write_text('["mine"]')


@pytest.mark.parametrize("config", [None, "[", "[1]", '{"library": "transformers"}', "[" * 100_000])
def test_a_folder_with_files_of_others_is_not_written_to(tmp_path, config):
    target = tmp_path / "mine"
    others(target)
    if config:
        (target / "config.json").write_text(config)
    with pytest.raises(SemTalkError, match="mine: it holds other files than those of a published model") as error:
        save_run(tmp_path / "run", target, "mine", {})
    assert str(error.value).endswith("none is written over; give a new folder.")
    assert (target / "README.md").read_text() == "my own" and (target / "vocab.json").read_text() == '["mine"]'


def test_new_and_empty_folders_and_those_of_an_earlier_model_are_written_to(tmp_path):
    refuse_others(tmp_path / "new")
    refuse_others(tmp_path)
    others(tmp_path / "earlier")
    (tmp_path / "earlier" / "config.json").write_text('{"library": "semtalk"}')
    refuse_others(tmp_path / "earlier")


def test_a_folder_without_a_name_and_a_file_are_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SemTalkError, match="it has no name of its own; give one that has"):
        save_run(tmp_path / "run", type(tmp_path)(""), "", {})
    (tmp_path / "file").touch()
    with pytest.raises(SemTalkError, match="file: a file, and a model is a folder"):
        save_run(tmp_path / "run", tmp_path / "file", "file", {})


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[", "readable metrics .*not readable as json"),
        ("[" * 100_000, "readable metrics .*nested too deeply"),
        ("[]", "readable metrics .*it holds list, not dict"),
        (json.dumps(METRICS | {"weights": ["a"]}), "readable metrics .*metrics.json: weights"),
        (json.dumps(METRICS | {"weights": "a"}), "readable metrics .*metrics.json: weights"),
        (json.dumps(METRICS | {"weights": {"base": 5}}), "readable metrics .*metrics.json: weights"),
        (json.dumps(METRICS | {"takes": "many"}), "readable metrics .*metrics.json: takes=many"),
        (json.dumps(METRICS | {"weights": {"base": "0" * 64}}), "metrics of what is trained now"),
    ],
)
def test_damaged_results_are_one_sentence_that_says_what_to_run(tmp_path, text, said):
    (tmp_path / "metrics.md").write_text("# title\nmeasured by /home/me/runs/voice")
    (tmp_path / "metrics.json").write_text(json.dumps(METRICS))
    assert read_results(tmp_path, tmp_path, WEIGHTS)["page"] == "measured by voice"
    (tmp_path / "metrics.json").write_text(text)
    with pytest.raises(SemTalkError, match=rf"{said}.*eval(.py)? ckpt=") as error:
        read_results(tmp_path, tmp_path, WEIGHTS)
    assert "\n" not in str(error.value)
