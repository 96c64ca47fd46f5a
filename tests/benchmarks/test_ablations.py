"""The ablation benchmarks: what a row changes, what is measured of it."""

import shutil

import pytest
import torch

from benchmarks import ablations, real_speech
from semtalk.body import load_body
from semtalk.settings import compose


class Echo(torch.nn.Module):
    """Gives back channels (B, T, D), or their mean over time."""

    def __init__(self, still: bool):
        super().__init__()
        self.still = still

    def forward(self, x):
        return (x.mean(dim=1, keepdim=True).expand_as(x) if self.still else x,)


def test_every_row_changes_what_there_is():
    plain = compose("train")
    for row, changes in (ablations.BASE_ROWS | ablations.RVQVAE_ROWS).items():
        changed = compose("train", *changes)
        assert (changed == plain) == (not changes) == (row == ablations.PLAIN), row


@pytest.mark.parametrize("part", ablations.MOVING)
def test_reconstructions_are_measured_against_the_truth(store, part):
    body = load_body(None)
    same = ablations.reconstruction_numbers(Echo(still=False), store, part, body)
    still = ablations.reconstruction_numbers(Echo(still=True), store, part, body)
    for split in ablations.SPLITS:
        assert same[f"{split}/{part}_degrees"] == pytest.approx(0, abs=0.05)
        assert same[f"{split}/{part}_speed"] == pytest.approx(1)
        assert still[f"{split}/{part}_speed"] == pytest.approx(0, abs=1e-3)
        assert still[f"{split}/{part}_degrees"] > 1


@pytest.mark.slow
def test_rows_of_base_are_trained_and_heard(smoke, monkeypatch, tmp_path):
    trained = []
    source = smoke[0] / "runs" / "smoke"

    def train(settings):
        (phase,) = settings.stage.phases
        trained.append((phase, settings.recipe.base.select, settings.model.standardise))
        target = real_speech.run_dir(settings) / phase
        shutil.copytree(source / phase, target, dirs_exist_ok=True)

    rows = {name: ablations.BASE_ROWS[name] for name in ("features as they are", ablations.SUMMED)}
    monkeypatch.setattr(ablations, "BASE_ROWS", rows)
    monkeypatch.setattr(real_speech, "train", train)
    options = real_speech.Options(overrides=("experiment=smoke",))
    numbers = ablations.base_rows(options, tmp_path, 0)
    assert set(numbers) == {ablations.PLAIN, *rows, *ablations.READ_ROWS}
    assert [phase for phase, *_ in trained] == [*(f"rvqvae_{p}" for p in ("face", "upper", "hands", "lower")),
                                                "translation", "base", "base", "base"]  # fmt: skip
    assert trained[-3:] == [
        ("base", "unexplained_face", True),
        ("base", "unexplained_face", False),
        ("base", "loss", True),
    ]
    assert numbers[ablations.PLAIN] == numbers[ablations.SUMMED] != numbers["likeliest codes"]
    wanted = {f"{split}/{name}" for split in ablations.SPLITS for name in (*ablations.HEARD, *ablations.LIVELY)}
    assert set(numbers[ablations.PLAIN]) == wanted
