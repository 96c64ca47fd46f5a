"""Damaged files of a run, each of them one sentence that says which and what to do."""

import sys

import pytest
import torch
from conftest import run_command
from tiny import TINY

from semtalk.__main__ import main
from semtalk.claim import FILE, worker
from semtalk.errors import SemTalkError
from semtalk.runs import read_phase
from semtalk.settings import compose
from semtalk.tasks.checkpoint import load_checkpoint
from semtalk.tasks.stamp import Facts, new_stamp

NOT_FINITE = "its a holds NaN or infinite numbers, so it is damaged, .*; copy it again, or train 'base' anew"


def stamped(content: dict, **keys) -> dict:
    return content | {"semtalk": content["semtalk"] | keys}


@pytest.mark.parametrize("which", ["best", "last"])
@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda whole, content: b"", "the file is empty, and no checkpoint"),
        (lambda whole, content: whole[: len(whole) // 2], "not a readable checkpoint: it is cut short or damaged"),
        (
            lambda whole, content: b"\x80\x02cos\nsystem\nX\x04\x00\x00\x00true\x85R.",
            "asks for code to be run",
        ),
        (lambda whole, content: [], "not a checkpoint of this code base; give one that"),
        (lambda whole, content: content | {"semtalk": 5}, "not a checkpoint of this code base; give one that"),
        (lambda whole, content: content | {"state_dict": 5}, "its state_dict is not what a checkpoint has there"),
        (lambda whole, content: content | {"state_dict": {"a": 5}}, "its state_dict is not what"),
        *(
            (
                lambda whole, content, value=value: content | {"state_dict": {"b": torch.zeros(1), "a": value}},
                NOT_FINITE,
            )
            for value in (torch.tensor([[0.0, torch.nan]]), torch.tensor(torch.inf), torch.tensor([-torch.inf]).half())
        ),
        (lambda whole, content: stamped(content, format="2"), "not a checkpoint of this code base; give one that"),
        (lambda whole, content: stamped(content, meta=None), "its semtalk.meta is not what a checkpoint has there"),
        (lambda whole, content: stamped(content, meta={}), "its semtalk.meta.speakers is not what"),
        (lambda whole, content: stamped(content, config=[1]), "its semtalk.config is not what"),
        (lambda whole, content: stamped(content, beside=3), "its semtalk.beside is not what"),
        (lambda whole, content: stamped(content, more=3), "its semtalk.more is not what"),
    ],
)
def test_a_damaged_checkpoint_is_one_sentence_in_our_own_words(tmp_path, which, spoil, said):
    content: dict = {"state_dict": {}}
    new_stamp("base", compose("train", *TINY).plain(), Facts([1])).write(content)
    path = tmp_path / "base" / f"{which}.ckpt"
    path.parent.mkdir()
    torch.save(content, path)
    assert load_checkpoint(path, "base")["state_dict"] == {}
    spoiled = spoil(path.read_bytes(), content)
    if isinstance(spoiled, bytes):
        path.write_bytes(spoiled)
    else:
        torch.save(spoiled, path)
    with pytest.raises(SemTalkError, match=said) as error:
        load_checkpoint(path, "base")
    assert str(error.value).startswith(f"{path}: ") and "weights_only" not in str(error.value)


def listed(capsys, monkeypatch, *arguments: str) -> str:
    monkeypatch.setattr(sys, "argv", ["semtalk", "runs", *arguments])
    monkeypatch.setenv("COLUMNS", "300")
    main()
    return capsys.readouterr().out


def write_phase(folder, content) -> None:
    folder.mkdir(parents=True)
    torch.save(content, folder / "best.ckpt")


def judged(**keeper) -> dict:
    return {"semtalk": {"finished": True}, "global_step": 9, "callbacks": {"Keeper": {"step": 4} | keeper}}


SPOILT = {
    "list": [],
    "stamp": {"semtalk": 5},
    "finished": {"semtalk": {"finished": [1]}},
    "callbacks": judged() | {"callbacks": 5},
    "keeper": judged() | {"callbacks": {"Keeper": [1]}},
    "figures": judged(numbers={"loss": None}),
    "numbers": judged(numbers=[1]),
    "seconds": judged(seconds="long"),
    "step": judged(step={}),
}


def test_a_damaged_run_is_listed_as_damaged_beside_the_others(tmp_path, capsys, monkeypatch):
    write_phase(tmp_path / "good" / "base", judged(numbers={"loss": 0.5}, seconds=3660.0))
    for name, content in SPOILT.items():
        write_phase(tmp_path / name / "base", content)
    for name, content in {"empty": b"", "cut": b"PK\x03\x04 cut"}.items():
        (tmp_path / name / "base").mkdir(parents=True)
        (tmp_path / name / "base" / "best.ckpt").write_bytes(content)
    states = {path.name: read_phase(path / "base").state for path in tmp_path.iterdir()}
    assert states == dict.fromkeys([*SPOILT, "empty", "cut"], "damaged") | {"good": "finished"}
    said = listed(capsys, monkeypatch, f"runs_dir={tmp_path}")
    assert said.count("damaged") >= len(SPOILT) + 2 and "loss 0.5" in said and "1:01 h" in said
    assert "its callbacks.Keeper.numbers.loss is not what a checkpoint has there" in said


@pytest.mark.parametrize("text", ["[1]", "5", "null", "[", '{"pid": 3}', "[" * 100_000])
def test_a_damaged_note_of_a_process_is_that_of_none(tmp_path, text):
    (tmp_path / FILE).write_text(text)
    assert worker(tmp_path) == ("", "")


def test_names_are_listed_as_they_are(tmp_path, capsys, monkeypatch):
    odd = tmp_path / ("long" * 20) / "a[" / "b]"
    for name in ("[red]x", "y\x1b[31m"):
        write_phase(odd / name / "base", judged())
    said = listed(capsys, monkeypatch, f"runs_dir={odd}")
    assert "a[/b]" in said and "[red]x" in said and "y\\x1b[31m" in said


def test_an_error_has_no_control_characters_of_file_names(tmp_path, capsys, monkeypatch):
    said = run_command("generate.py", f"audio='{tmp_path}/no\x1b[31m.wav'", check=False).stderr
    assert "no\\x1b[31m.wav" in said and "\x1b" not in said
    with pytest.raises(SystemExit, match=r"runs_dir=no\\x1b\[31m: there is no such folder"):
        listed(capsys, monkeypatch, "runs_dir=no\x1b[31m")
