"""Alignment: what is scored, by whom, of a run and of any folder, and what is refused."""

import json
import shutil
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
import torch
from conftest import run_command
from tiny import tiny_settings, training_batch
from torch.nn import functional as F

from semtalk.errors import SemTalkError
from semtalk.evaluation.alignment import SHIFTED, Alignment, Scorer, gestures_of, named_speaker, refuse_few, segments_of
from semtalk.evaluation.report import result_page
from semtalk.evaluation.result import Result
from semtalk.evaluation.shares import joined
from semtalk.evaluation.takes import Take
from semtalk.losses import info_nce
from semtalk.metrics.alignment import own_wins
from semtalk.motion.io import Motion, save_motion
from semtalk.motion.parts import poses_from_rotation
from semtalk.settings import compose
from semtalk.tasks.build import make_task
from semtalk.tasks.dry_run import fresh_task
from semtalk.tasks.phases import build_network

SAID = {"run": "runs/a", "sha256": "0"}


def test_a_take_is_cut_into_segments_of_two_windows():
    assert [(one.start, one.stop) for one in segments_of(300, 2)] == [(0, 128), (128, 256)]
    assert not segments_of(127, 2) and len(segments_of(300, 1)) == 4


def test_a_gesture_is_the_window_around_what_is_labelled():
    semantic = torch.zeros(200)
    semantic[0:4], semantic[90:110], semantic[198:200] = 0.5, 0.2, 1.0
    found = [(one.start, one.stop) for one in gestures_of(semantic, 200)]
    assert found == [(0, 64), (68, 132), (136, 200)]
    assert gestures_of(None, 200) == gestures_of(semantic[:40], 40) == gestures_of(torch.zeros(99), 99) == []


def test_file_names_say_who_speaks_as_beat2s_do():
    assert named_speaker("2_scott_0_1_1") == "2" and named_speaker("12_zhao_1_3_3") == "12"
    assert named_speaker("take 1") is named_speaker("scott_2") is None


def planted() -> Scorer:
    """One that hears and sees the same six numbers."""
    network = SimpleNamespace(
        see=lambda rotation: F.normalize(rotation[:, ::4, 3], dim=-1),
        hear=lambda features: F.normalize(features["rhythm"][:, ::4], dim=-1),
    )
    return Scorer(network, compose().features, SAID, 2)


def take(name: str, frames: int = 300, seed: int = 0, semantic=None) -> Take:
    g = torch.Generator().manual_seed(seed)
    rotation = torch.randn(frames, 55, 6, generator=g)
    heard = {"rhythm": rotation[:, 3].clone(), "hubert": torch.zeros(frames, 2)}
    made = Take(name, frames, torch.zeros(300), None, semantic, recording=heard)
    for row, value in (("truth", rotation), ("mean", rotation[:1].expand(frames, -1, -1))):
        made.add(row, value, torch.zeros(frames, 100), torch.zeros(frames, 3))
    return made


def aligned(takes: list[Take], speakers: list[str]) -> Alignment:
    found = Alignment()
    for one, speaker in zip(takes, speakers, strict=True):
        found.add(one, speaker, planted(), ("truth", "mean"))
    return found


def test_the_truth_fits_its_own_sound_and_one_pose_fits_all_alike():
    semantic = torch.zeros(300)
    semantic[100:120], semantic[220:240] = 1.0, 1.0
    takes = [take("a", seed=1, semantic=semantic), take("b", seed=2), take("c", seed=3, semantic=semantic)]
    found = aligned(takes, ["x", "x", "y"]).numbers(planted())
    rows = found["rows"]
    assert (found["segments"], found["takes"], found["gestures"]) == (6, 3, 4) and found["scorer"] == SAID
    assert rows["truth"] == {"share": 1.0, "low": 1.0, "high": 1.0, "recall_1": 1.0, "recall_5": 1.0}
    assert (
        rows["mean"]["share"] == pytest.approx(0.5) and rows["mean"]["recall_1"] == found["chance"]["recall_1"] == 0.5
    )
    assert rows[SHIFTED]["share"] < 0.8 and found["chance"]["recall_5"] == 1.0, "of two gestures of a speaker"


def test_the_shifted_truth_is_rolled_by_half_of_its_take():
    """Of two segments each then has the other one's motion."""
    found = aligned([take("a", 256)], ["x"]).numbers(planted())
    assert found["rows"][SHIFTED]["share"] == 0.0 and np.isnan(found["rows"]["truth"]["low"]), "one take has no spread"
    assert "chance" not in found and "recall_1" not in found["rows"]["truth"], "without labels"


def test_the_interval_is_over_takes():
    """Of two takes a draw has one, the other or both, so it ends where they are."""
    found = aligned([take("a", 256, seed=3), take("b", 256, seed=4)], ["x", "x"])
    scores = torch.from_numpy(np.concatenate(found.motion[SHIFTED]) @ np.concatenate(found.speech).T)
    wins = own_wins(scores, torch.ones(4, 4, dtype=torch.bool)).view(2, 2)
    assert (wins[:, 0] != wins[:, 1]).any() and wins[0].mean() != wins[1].mean()
    row = found.numbers(planted())["rows"][SHIFTED]
    assert (row["low"], row["high"]) == pytest.approx((wins.mean(dim=1).min().item(), wins.mean(dim=1).max().item()))


def test_takes_that_are_measured_in_pieces_are_compared_with_each_other():
    takes, speakers = [take("a", seed=1), take("b", 100, seed=2), take("c", seed=3)], ["x", "y", "x"]
    whole = aligned(takes, speakers).numbers(planted())
    parts = joined(aligned(takes[:1], speakers[:1]), aligned(takes[1:], speakers[1:])).numbers(planted())
    assert parts == whole and whole["segments"] == 4 and whole["takes"] == 2, "a take without a segment is none"


def test_too_few_segments_are_one_sentence():
    refuse_few("scorer=A", [("x", 130), ("x", 130), ("y", 256)], 2)
    with pytest.raises(SemTalkError, match=r"^scorer=A: speaker y has 1 segments of 4.3 s, and alignment compares two"):
        refuse_few("scorer=A", [("x", 300), ("y", 255)], 2)


def fresh_scorer(*overrides: str) -> Scorer:
    settings = compose("train", *overrides)
    return Scorer(build_network("alignment", settings, 1).eval(), settings.features, SAID, 2)


def test_a_scorer_of_other_features_is_refused():
    scorer = fresh_scorer()
    scorer.check_features(compose("train", "features.slots.words.dim=20").features)
    with pytest.raises(
        SemTalkError, match=r"scorer=runs/a: .*features.slots.hubert .*dim=48, and the run hears .*dim=20"
    ):
        scorer.check_features(compose("train", "features.slots.hubert.dim=20").features)
    with pytest.raises(SemTalkError, match=r"features.slots.hubert encoder=log_mel.*hears encoder=whisper"):
        scorer.check_features(compose("train", "features=light").features)
    here, there = (
        compose("train", "features=paper", f"features.slots.hubert.model={folder}/hubert-base").features
        for folder in ("/here", "/there")
    )
    Scorer(scorer.network, here, SAID, 2).check_features(there)


def test_a_pose_that_stands_says_nothing(body):
    network = fresh_scorer().network
    still = torch.randn(2, 1, 55, 6, generator=torch.Generator().manual_seed(0)).expand(2, 64, -1, -1)
    one, other = network.see(still)
    assert one.shape == (16, 32) and torch.allclose(one, other, atol=1e-6)
    assert torch.allclose(one.norm(dim=1), torch.ones(16))


def test_a_scorer_sees_the_chosen_parts_alone():
    batch = training_batch(2)
    for parts, joint, seen in (("[hands]", 30, True), ("[hands]", 5, False), ("[upper,lower]", 5, True)):
        network = fresh_scorer(f"model.alignment.parts={parts}").network
        changed = batch["rotation"].clone()
        changed[:, 20:, joint] += 1
        assert torch.equal(network.see(batch["rotation"]), network.see(changed)) != seen
    assert 22 not in fresh_scorer().network.joints, "lips are measured by themselves"


def test_the_loss_is_of_the_windows_of_a_speaker_in_both_directions():
    settings = tiny_settings("model.alignment.dropout=0.0", "model.alignment.noise=0.0")
    task, batch = fresh_task("alignment", settings, 2, None), training_batch(5)

    def wanted(frames: slice) -> float:
        seen, heard = batch["rotation"][:, frames], {slot: batch[slot][:, frames] for slot in ("rhythm", "hubert")}
        motion, speech = (x.flatten(1) for x in (task.network.see(seen), task.network.hear(heard)))
        total = 0.0
        for number, count in ((0, 3), (1, 2)):
            own = batch["speaker"] == number
            for a, b in ((motion, speech), (speech, motion)):
                total += count / 5 * info_nce(a[own], b[own], settings.recipe.alignment.temperature).item() / 2
        return total

    assert batch["speaker"].tolist() == [0, 1, 0, 1, 0]
    task.alike.manual_seed(3)
    start = int(torch.randint(17, (), generator=torch.Generator().manual_seed(3)))
    assert task.losses(batch)["contrast"].item() == pytest.approx(wanted(slice(start, start + 48)), rel=1e-4)
    task.eval()
    assert task.losses(batch)["contrast"].item() == pytest.approx(wanted(slice(None)), rel=1e-4)
    assert task.counted(batch) == {"aligned": 5}
    alone = {key: value[:2] for key, value in batch.items()}
    assert task.counted(alone) == {"aligned": 0} and task.figures(alone)["aligned"] == 0


def test_a_scorer_learns_from_the_training_split_alone(store, tmp_path):
    network = make_task("alignment", compose("train", f"runs_dir={tmp_path}"), store, tmp_path).network
    training = store.split("train")
    heard = torch.cat([recording["hubert"] for recording in training]).double()
    assert torch.allclose(network.standard["hubert"].mean, heard.mean(dim=0).float(), atol=1e-4)
    windows = torch.cat([one["rotation"][: one.frames // 64 * 64].unflatten(0, (-1, 64)) for one in training])
    for standard, seen in zip(network.moves, network.movement(windows), strict=True):
        wanted = seen.flatten(0, 1).std(dim=0).clamp(min=1e-3)
        assert torch.allclose(standard.scale, wanted, rtol=1e-3) and standard.scale.max() > 0.02


def write_takes(folder, store, corpus, split: str = "test"):
    """Motion and sound of a split as files of a method that knows the truth."""
    for name in ("truth", "audio"):
        (folder / name).mkdir(parents=True)
    for recording in store.split(split):
        arrays = (
            poses_from_rotation(recording["rotation"]),
            *(recording[k] for k in ("expressions", "trans", "betas")),
        )
        save_motion(folder / "truth" / f"{recording.id}.npz", Motion(*(array.numpy() for array in arrays)))
        soundfile.write(folder / "audio" / f"{recording.id}.wav", recording["wave"].numpy(), 16000, subtype="FLOAT")
    return [f"motions={folder}/truth", f"truth={folder}/truth", f"audio={folder}/audio"]


def test_a_scorer_is_trained_and_measures_its_run_and_any_folder(smoke, tmp_path):
    folder, places = smoke
    run = shutil.copytree(folder / "runs" / "smoke", tmp_path / "runs" / "smoke")
    places = [*places, f"runs_dir={tmp_path}/runs"]
    run_command("train.py", *places, "stage=alignment", "trainer.precision=32-true")
    said = run_command("eval.py", *places, "video_seconds=1").stdout
    assert "Alignment: 4 segments of 4.3 s" in said and "shifted truth" in said and "by chance 50%" in said
    found = json.loads((run / "eval" / "test" / "metrics.json").read_text())["alignment"]
    assert set(found["rows"]) == {"fused", "base", "truth", "mean", SHIFTED} and found["gestures"] > 0
    assert found["rows"]["mean"]["share"] == pytest.approx(0.5)
    assert found["rows"]["mean"]["recall_1"] == pytest.approx(found["chance"]["recall_1"])
    page = (run / "eval" / "test" / "metrics.md").read_text()
    assert (
        result_page(Result.read(run / "eval" / "test" / "metrics.json")) == page
        and "| 95% interval, over takes |" in page
    )
    without = run_command("eval.py", *places, "video_seconds=1", "tag=few", "segment_windows=3").stdout
    assert "alignment is left out: scorer=" in " ".join(without.split()) and "Alignment:" not in without
    refused = run_command("eval.py", *places, f"scorer={run}", "segment_windows=3", check=False).stderr
    assert refused.startswith(f"error: scorer={run}: speaker 1 has 0 segments of 6.4 s") and "\n" not in refused


def test_a_folder_is_measured_by_a_scorer_that_hears_its_sound(body, smoke, tmp_path):
    from semtalk.data.open import open_corpus, open_store

    folder, places = smoke
    settings = compose("train", *places)
    corpus = open_corpus(settings.data)
    store = open_store(settings, corpus, body)
    run = tmp_path / "runs" / "scorer"
    run_command("train.py", *places, "stage=alignment", f"runs_dir={tmp_path}/runs", "name=scorer")
    files = write_takes(tmp_path, store, corpus)
    said = run_command("eval.py", *files, f"scorer={run}", f"out={tmp_path}/out").stdout
    assert "Alignment:" in said and "shifted truth" in said
    found = json.loads((tmp_path / "out" / "metrics.json").read_text())["alignment"]
    assert found["rows"]["method"] == found["rows"]["truth"] and found["gestures"] == 0
    assert found["rows"]["mean"]["share"] == pytest.approx(0.5) and set(found["rows"]) > {SHIFTED}
    (recording, *_), scorer = store.split("test"), Scorer.load(run, 2)
    own = Take(recording.id, recording.frames, recording["betas"], recording["wave"], None)
    heard, stored = scorer.features_of(own), {slot: recording[slot] for slot in ("rhythm", "hubert")}
    assert all(torch.allclose(heard[slot], stored[slot], atol=1e-4) for slot in stored), "as the store's features"
    silent = run_command("eval.py", *files[:2], f"scorer={run}", check=False).stderr
    assert silent == f"error: scorer={run}: it hears the sound of the takes; give its folder, audio=DIR."
    for key in ("motions", "none"):
        words = files if key == "motions" else [*places]
        wrong = run_command("eval.py", *words, "scorer=/no/run", check=False).stderr
        assert wrong.startswith(
            "error: scorer=/no/run: there is no checkpoint of 'alignment' in it; give the folder of a"
        )
    path = tmp_path / "truth" / f"{recording.id}.npz"
    path.rename(path.with_name("take 1.npz"))
    (tmp_path / "audio" / f"{recording.id}.wav").rename(tmp_path / "audio" / "take 1.wav")
    mixed = run_command("eval.py", *files, f"scorer={run}", f"out={tmp_path}/mixed").stdout
    assert "takes all files for one speaker's" in " ".join(mixed.split())
