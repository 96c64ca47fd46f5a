"""Damaged files of a run, each of them one sentence that says which and what to do."""

import pytest
import torch
from tiny import TINY

from semtalk.errors import SemTalkError
from semtalk.settings import compose
from semtalk.tasks.checkpoint import load_checkpoint
from semtalk.tasks.stamp import Facts, new_stamp


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
