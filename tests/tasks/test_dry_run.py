"""The paper's setting, and the plan that a dry run prints."""

from itertools import count

import pytest
import torch
from conftest import run_command

from semtalk.features.extract import feature_dims
from semtalk.settings import compose
from semtalk.settings.commands import CHAIN
from semtalk.tasks import dry_run
from semtalk.tasks.dry_run import count_windows, hours, step_cost
from semtalk.tasks.phases import PHASES, build_network


@pytest.mark.parametrize("experiment", ["beat2", "show"])
def test_experiments_are_the_papers_setting(experiment):
    settings = compose("train", f"experiment={experiment}", "stage=all")
    assert settings.data.name == experiment and settings.features.name == "paper"
    assert feature_dims(settings.features) == {
        "rhythm": 3, "hubert": 1024, "words": 300, "sentence": 512, "emotion": 768,
    }  # fmt: skip
    for recipe in (settings.recipe.base, settings.recipe.sparse):
        assert (recipe.epochs, recipe.batch_size, recipe.lr, recipe.clip) == (200, 64, 1e-4, 1.0)
        assert recipe.betas == [0.9, 0.99] and recipe.schedule == "constant"
        assert recipe.mask.ratio == 0.4 and recipe.mask.warmup * recipe.epochs == 120
        assert recipe.passes == 3 and recipe.softness == 0.0
    assert {settings.recipe.rvqvae.epochs, settings.recipe.translation.epochs, settings.recipe.fgd.epochs} == {200}
    assert settings.recipe.sparse.floor == 0.0, "a step without meaning weighs nothing"
    model = settings.model
    assert model.network.residual_layers * (model.rvqvae.levels - 1) == 5
    assert model.network.width == 768 and model.rvqvae.levels == 6 and model.rvqvae.codes == 256
    assert model.rvqvae.quantizer_dropout == 0.2 and model.rvqvae.decay == 0.99


def test_costs_are_those_of_the_networks(body):
    config = compose("train", "experiment=smoke", "data.root=/nowhere")
    for phase in PHASES:
        cost = step_cost(phase, config, 2, body)
        assert cost["parameters"] == sum(p.numel() for p in build_network(phase, config, 2).parameters())
        assert cost["flops"] > 2 * cost["parameters"] and cost["bytes"] > 10_000
    wide = step_cost("base", compose("train", "experiment=smoke", "model.network.width=64"), 2, body)
    narrow = step_cost("base", config, 2, body)
    assert wide["flops"] > 1.2 * narrow["flops"] and wide["bytes"] > narrow["bytes"]


def test_windows_are_counted_without_reading_takes(corpus, store):
    from semtalk.data.windows import WindowDataset

    counts = count_windows(corpus, 20)
    for split in ("train", "val", "test"):
        assert counts[split]["windows"] == len(WindowDataset(store, store.split(split), 20))
    assert counts["train"]["hours"] == pytest.approx(9 * 6 / 3600) and not counts["train"]["missing"]


def test_a_dry_run_needs_neither_data_nor_models(tmp_path):
    said = run_command("train.py", "experiment=beat2", "dry_run=true", f"runs_dir={tmp_path}", "stage=fgd").stdout
    for text in ("data.root is not set", "hf download", "about 8,550 windows", "pip install -e .[emotion]"):
        assert text in " ".join(said.replace("│", " ").split()), said
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("took", "size"), [(0.01, 1536), (1.0, 192)])
def test_where_products_take_long_the_rate_is_that_of_small_ones(monkeypatch, took, size):
    clock = count(0, took)
    monkeypatch.setattr(dry_run.time, "perf_counter", lambda: next(clock))
    found = dry_run.matrix_rate(torch.device("cpu"), "bf16-mixed")
    assert found == pytest.approx(8 * 2 * size**3 / took)


def test_a_plan_has_its_numbers_whole_on_80_columns(tmp_path, monkeypatch):
    cost = {"parameters": 203.4e6, "flops": 1.06e11, "bytes": 2e8}
    monkeypatch.setattr(dry_run, "step_cost", lambda *_: cost)
    monkeypatch.setattr(dry_run, "matrix_rate", lambda *_: 2e12)
    places = [f"runs_dir={tmp_path}", f"data_dir={tmp_path}", "stage=all", "dry_run=true"]
    said = run_command(
        "train.py", *places, "recipe.base.steps=388000", "recipe.base.batch_size=40", COLUMNS="80"
    ).stdout
    table = said.partition("Training (")[2].partition("GFLOP and GiB")[0]
    assert "\N{HORIZONTAL ELLIPSIS}" not in table and max(map(len, table.splitlines())) <= 80
    rows = {line.split()[0]: line.split()[1:] for line in table.splitlines() if line.split()}
    assert set(CHAIN) <= set(rows) and rows["rvqvae_hands"][:2] == ["203.40", "M"]
    took = 388_000 * 40 * 1.06e11 / 0.3 / 3600
    assert rows["base"][-2:] == [f"{took / 2e12:.0f}", f"{took / 312e12:.2f}"] == ["762", "4.88"]
    assert rows["base"][4:6] == ["388000", "4240"]


def test_hours_have_no_exponent():
    assert [hours(took) for took in (None, 1e-5, 0.034, 9.8, 98.4, 1234.5)] == [
        "?", "<0.01", "0.03", "9.80", "98", "1,234",
    ]  # fmt: skip
