"""Takes without semantic labels: what the sparse phase makes of them."""

from types import SimpleNamespace

import pytest
import torch
from tiny import TINY

from semtalk.body import load_body
from semtalk.data.store import Store, StoredRecording
from semtalk.data.windows import WindowDataset
from semtalk.errors import SemTalkError
from semtalk.log import print_messages
from semtalk.losses import gate_loss
from semtalk.models.fusion import active_steps
from semtalk.models.predictor import Passes
from semtalk.motion.skeleton import PARTS
from semtalk.settings import compose
from semtalk.tasks.build import check_labels, new_task
from semtalk.tasks.phases import build_network


@pytest.fixture(scope="module")
def batch(store):
    return WindowDataset(store, store.split("train"), 20).__getitems__([0, 7, 14, 21])


@pytest.fixture(scope="module")
def sparse(store):
    settings = compose("train", *TINY)
    torch.manual_seed(0)
    phases = ("sparse", "base", *(f"rvqvae_{part}" for part in PARTS))
    network, *needed = (build_network(phase, settings, len(store.speakers)) for phase in phases)
    networks = dict(zip(phases[1:], needed, strict=True))
    return new_task("sparse", settings, network, networks, body=load_body(None), progress=0.5).eval()


def test_steps_without_a_label_weigh_the_floor_and_say_nothing_to_the_gate(batch, sparse):

    def losses(semantic):
        torch.manual_seed(0)
        return sparse.losses(batch | {"semantic": semantic})

    semantic = torch.zeros(4, 16)
    semantic[:, 3] = 0.7
    some = semantic.clone()
    some[2:] = torch.nan
    part, whole = losses(some), losses(semantic.where(~some.isnan(), 0.0))
    assert all(torch.isfinite(value) for value in part.values())
    assert all(torch.equal(part[name], whole[name]) for name in ("classification", "latent", "fusion"))
    logits = sparse.network.encode_speech(batch).gate_logits
    assert part["gate"].item() == pytest.approx(
        len(sparse.passes) * gate_loss(logits[:2], semantic[:2]).item(), rel=1e-5
    )
    assert losses(semantic * torch.nan)["gate"] == 0


def test_figures_of_the_gate_are_of_labelled_steps(batch, sparse, monkeypatch):
    psi = sparse.predict(batch, Passes()).psi
    semantic = torch.where(active_steps(psi), 0.5, 0.0)  # all right,
    semantic[1] = 0.5 - semantic[1]  # a row all wrong,
    semantic[2:] = torch.nan  # two rows unlabelled
    assert sparse.figures(batch | {"semantic": semantic})["gate_accuracy"].item() == 0.5
    seen = {}
    monkeypatch.setattr(sparse, "log", lambda name, value, batch_size, sync_dist: seen.update({name: batch_size}))
    alone = SimpleNamespace(world_size=1, global_rank=0, val_dataloaders=SimpleNamespace(batch_size=4))
    monkeypatch.setattr(type(sparse), "trainer", alone)
    sparse.validation_step(batch | {"semantic": semantic}, 0)
    assert seen["val/gate"] == seen["val/gate_accuracy"] == 32 and seen["val/loss"] == 4


def test_takes_without_labels_are_counted_and_only_a_corpus_without_any_is_refused(store, capsys):
    def without(*missing):
        takes = []
        for one in store.recordings:
            blank = {"semantic": torch.full_like(one["semantic"], torch.nan)} if one.info["split"] in missing else {}
            takes.append(StoredRecording(one.folder, one.info, blank))
        return Store(store.folder, takes, store.speakers, store.stride)

    print_messages()
    check_labels(store)
    check_labels(without("val"))
    said = " ".join(capsys.readouterr().out.split())
    assert "train" not in said and "val: 45 of 45 code steps, those of 1 of 1 takes" in said
    some = without("train")
    some.split("train")[0].tensors.clear()
    check_labels(some)
    assert "train: 360 of 405 code steps, those of 8 of 9 takes" in " ".join(capsys.readouterr().out.split())
    with pytest.raises(SemTalkError, match="none of the 9 takes of train, .* has semantic labels"):
        check_labels(without("train", "val"))
