"""What judges base and sparse while they train: generated motion of val, beside a linear map from the same speech."""

import copy
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from semtalk import SemTalkError, compose
from semtalk.body import load_body
from semtalk.data.open import open_corpus, open_store
from semtalk.data.store import Store, mean_joint_speed
from semtalk.evaluation import ridge as R
from semtalk.evaluation.gate import gate_report
from semtalk.evaluation.hearing import OTHER, add_other_sound, hearing
from semtalk.evaluation.judge import Judge, chosen_takes, hears_less
from semtalk.evaluation.measure import evaluate_rows
from semtalk.evaluation.metrics import METRICS
from semtalk.evaluation.takes import TakeMaker, legacy_frames
from semtalk.generation.load import load_generator
from semtalk.tasks.checkpoint import load_network, read_stamp


class Recording(dict):
    """Stands for a stored recording."""

    def __init__(self, name: str, frames: int, **tensors):
        super().__init__(tensors)
        self.id, self.frames, self.info = name, frames, {"origins": dict.fromkeys(("motion", *R.SPEECH), "a")}


def corpus(relation, seed: int = 0) -> dict[str, list[Recording]]:
    """Recordings whose rotations and expressions are a relation of the speech around each frame (T, 35)."""
    rng, splits = np.random.default_rng(seed), {}
    for split, lengths in (("train", (400, 300)), ("val", (200,))):
        splits[split] = []
        for number, frames in enumerate(lengths):
            heard = rng.normal(size=(frames, 5)).astype(np.float32)
            channels = torch.from_numpy(relation(R.surroundings(heard)).astype(np.float32))
            speech = {"rhythm": torch.from_numpy(heard[:, :3]), "hubert": torch.from_numpy(heard[:, 3:])}
            motion = {"rotation": channels[:, :330].unflatten(1, (55, 6)), "expressions": channels[:, 330:]}
            splits[split].append(Recording(f"{split}{number}", frames, **speech, **motion))
    return splits


def store_of(splits, folder) -> SimpleNamespace:
    return SimpleNamespace(split=splits.__getitem__, folder=folder)


def test_ridge_finds_a_linear_relation(tmp_path):
    weights = np.random.default_rng(1).normal(size=(35, 430))
    splits = corpus(lambda around: 5 + around @ weights)
    fitted = R.SpeechRidge.fit(store_of(splits, tmp_path))
    expressions = fitted.predict(splits["val"][0])[1]
    assert (expressions - splits["val"][0]["expressions"]).abs().max() < 0.1


def test_ridge_is_what_scikit_learn_fits_with_the_regularisation_that_val_prefers(tmp_path):
    from sklearn.linear_model import Ridge

    noise = np.random.default_rng(2)
    splits = corpus(lambda around: around[:, :1] + noise.normal(size=(len(around), 430)))
    fitted = R.SpeechRidge.fit(store_of(splits, tmp_path))
    inputs = {split: np.concatenate([R.surroundings(fitted.standard(r)) for r in splits[split]]) for split in splits}
    faces = {split: np.concatenate([r["expressions"].numpy() for r in splits[split]]) for split in splits}
    tried = [Ridge(alpha=alpha).fit(inputs["train"], faces["train"]) for alpha in R.GRID]
    errors = [np.square(one.predict(inputs["val"]) - faces["val"]).mean() for one in tried]
    best = tried[int(np.argmin(errors))]
    assert best.alpha > R.GRID[0]
    given = fitted.predict(splits["val"][0])[1].numpy()
    assert np.allclose(given, best.predict(inputs["val"]), atol=1e-4)


def test_jaw_body_and_expressions_are_regularised_each_as_val_prefers(tmp_path):
    noise, weights = np.random.default_rng(3), np.random.default_rng(4).normal(size=(35, 6))

    def relation(around):
        channels = noise.normal(size=(len(around), 430))
        channels[:, R.JAW_COLUMNS] = around @ weights
        return channels

    fitted = R.SpeechRidge.fit(store_of(corpus(relation), tmp_path))
    size = np.abs(fitted.weights).mean(axis=0)
    assert np.allclose(fitted.weights[:, R.JAW_COLUMNS], weights, atol=0.2)
    assert size[R.BODY_COLUMNS].max() < 0.02 and size[R.FACE_COLUMNS].max() < 0.02


def test_ridge_is_kept_until_what_it_was_fitted_to_changes(tmp_path, monkeypatch):
    splits = corpus(lambda around: np.repeat(around[:, :1], 430, axis=1))
    store = store_of(splits, tmp_path)
    first = R.SpeechRidge.of(store)
    fits, fit = [], R.SpeechRidge.fit
    monkeypatch.setattr(R.SpeechRidge, "fit", classmethod(lambda _, store: (fits.append(1), fit(store))[1]))
    again = R.SpeechRidge.of(store)
    assert not fits and np.array_equal(again.weights, first.weights) and np.array_equal(again.offset, first.offset)
    splits["val"][0].info["origins"]["hubert"] = "b"
    R.SpeechRidge.of(store)
    assert fits and len(list(tmp_path.glob("ridge_*.npz"))) == 1


def test_a_long_split_is_thinned(tmp_path, monkeypatch):
    splits = corpus(lambda around: np.repeat(around[:, :1], 430, axis=1))
    standard = R.Standard.of(splits["train"])
    monkeypatch.setattr(R, "MOST_FRAMES", 250)
    pieces = list(R._pieces(splits["train"], standard))
    assert [len(inputs) for inputs, _ in pieces] == [134, 100] and sum(map(len, pieces[0])) == 2 * 134


def test_surroundings_are_the_frames_around():
    seen = R.surroundings(np.arange(40.0)[:, None])
    assert seen[20].tolist() == (20 + R.OFFSETS).tolist()
    assert seen[1].tolist() == [0, 0, 0, 1, 3, 5, 7] and seen[-1].max() == 39


def test_features_are_standardised_by_the_training_split():
    training = [{"rhythm": 5 + 3 * torch.randn(300, 3), "hubert": torch.randn(300, 4).half()} for _ in range(2)]
    standard = R.Standard.of(training)
    rows = np.concatenate([standard(recording) for recording in training])
    assert np.allclose(rows.mean(axis=0), 0, atol=1e-4) and np.allclose(rows.std(axis=0), 1, atol=1e-4)


def test_takes_are_spread_over_a_split_and_bounded():
    recordings = [SimpleNamespace(id=f"{index:02}", frames=900) for index in range(10)]
    recordings.append(SimpleNamespace(id="99", frames=30))
    assert [one.id for one in chosen_takes(recordings, 60.0)] == ["00", "03", "06"]
    assert len(chosen_takes(recordings, 1.0)) == 1 and len(chosen_takes(recordings, 1e6)) == 10
    assert chosen_takes(recordings[-1:], 60.0) == []


@pytest.fixture(scope="module")
def judged(smoke):
    """A judge of the trained run, the run's networks, and what the judge said of them."""
    folder = smoke[0] / "runs" / "smoke"
    settings = compose("train", *smoke[1])
    corpus, body = open_corpus(settings.data), load_body(None)
    store = open_store(settings, corpus, body)
    facts = read_stamp(folder, "sparse").facts
    judge = Judge(settings, folder, store, facts, body, mean_joint_speed(store, corpus, body)[0])
    run = load_generator(folder)
    base, sparse = (load_network(folder, phase)[0] for phase in ("base", "sparse"))
    asked = []
    split = Store.split
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Store, "split", lambda self, name: (asked.append(name), split(self, name))[1])
        base.train().requires_grad_(True), sparse.train().requires_grad_(True)
        before = copy.deepcopy(sparse.state_dict())
        numbers = judge(run.generator.tokenizer, base, sparse, torch.device("cpu"))
    return judge, run, base, sparse, before, numbers, asked


def test_networks_are_left_as_they_are(judged):
    _, _, base, sparse, before, _, _ = judged
    for network in (base, sparse):
        assert network.training and all(p.requires_grad for p in network.parameters())
    assert all(torch.equal(value, before[name]) for name, value in sparse.state_dict().items())


def test_test_data_is_never_looked_at(judged):
    assert set(judged[-1]) == {"train", "val"}


def test_the_numbers_are_those_of_generated_motion(judged):
    judge, run, *_, numbers, _ = judged
    limit = 30 * 4
    maker = TakeMaker(
        run.generator, run.facts.speakers, run.features.stride, seed=judge.settings.seed,
        counted=lambda frames: legacy_frames(min(frames, limit)),
    )  # fmt: skip
    takes, _ = maker.takes(judge.recordings)
    add_other_sound(takes, maker)
    R.add_ridge(takes, judge.store)
    linear = hearing(takes, "ridge", judge.body)
    gate = {f"gate_{name}": value for name, value in gate_report(takes, 0.5).items()}
    wanted = hearing(takes, "fused", judge.body, OTHER) | gate
    metrics = {name: METRICS[name] for name in ("bc", "div")}
    rows = evaluate_rows(takes, ("fused", "truth"), metrics, None, judge.body, judge.joint_speed).table
    wanted |= {f"{name}_share": rows["fused"][name] / rows["truth"][name] for name in metrics}
    wanted |= {f"ridge_{name}": linear[name] for name in ("jaw_r", "expressions_r")}
    assert {"jaw_r", "own_other", "lower_error", "speed_hands", "gate_recall"} <= set(wanted)
    for name, value in wanted.items():
        assert numbers[name] == pytest.approx(value, rel=1e-4, nan_ok=True), name
    assert {"fgd", "div_share", "bc_share", "ridge_jaw_r", "ridge_expressions_r", "gate_share"} <= set(numbers)
    psi = torch.cat([take.psi for take in takes])
    assert numbers["gate_share"] == pytest.approx((psi > 0.5).float().mean().item())


def test_what_hears_less_than_a_linear_map_is_said():
    numbers = {"jaw_r": 0.3, "ridge_jaw_r": 0.4, "expressions_r": 0.5, "ridge_expressions_r": 0.4}
    (said,) = hears_less(numbers)
    assert said == "the jaw's correlation is 0.300, that of a linear map from the same speech 0.400"
    assert len(hears_less(numbers | {"expressions_r": float("nan")})) == 2 and hears_less({"loss": 1.0}) == []


def test_the_curves_of_base_and_sparse_have_the_numbers(smoke):
    for phase, name in (("base", "val/jaw_r"), ("sparse", "val/gate_share")):
        header = (smoke[0] / "runs" / "smoke" / phase / "metrics.csv").read_text().splitlines()[0]
        assert name in header.split(",")


def test_what_is_selected_by_has_to_be_generated():
    assert compose("train", "recipe.base.select=jaw_r").recipe.base.select == "jaw_r"
    with pytest.raises(
        SemTalkError, match="base.select=jaw_r is of generated motion; it needs rollout_seconds above 0"
    ):
        compose("train", "recipe.base.select=jaw_r", "recipe.rollout_seconds=0")
    with pytest.raises(SemTalkError, match="recipe.sparse.select=jaw: choose one of loss, gate_accuracy"):
        compose("train", "recipe.sparse.select=jaw")
