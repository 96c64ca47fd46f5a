"""Encoders on tiny models of the same classes as the pretrained ones, word lists, and transcripts."""

import json
import pickle
import sys
import types
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from tiny import save_clip, save_hubert, write_vocabulary

from semtalk.errors import SemTalkError
from semtalk.features.audio import _refuse_long, load_audio
from semtalk.features.emotion import EmotionLabel
from semtalk.features.extract import SLOTS, build_encoder, build_encoders, count_lines
from semtalk.features.hubert import Hubert, spans
from semtalk.features.rhythm import Rhythm
from semtalk.features.text import ClipSentence, FastText, VocabularyIds, VocabularyVectors
from semtalk.features.transcript import read_transcript
from semtalk.features.utterance import Utterance
from semtalk.files import load_pickle
from semtalk.settings import compose


def noise(seconds: float, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(int(16000 * seconds)).astype(np.float32)


@pytest.fixture(scope="module")
def hubert(tmp_path_factory) -> str:
    return save_hubert(tmp_path_factory.mktemp("hubert"))


def test_hubert_in_chunks_equals_the_model_on_the_whole(hubert):
    from transformers import AutoFeatureExtractor, HubertModel

    wave = noise(12.3)
    given = AutoFeatureExtractor.from_pretrained(hubert)(wave, sampling_rate=16000, return_tensors="pt")
    with torch.no_grad():
        whole = HubertModel.from_pretrained(hubert).eval()(given.input_values).last_hidden_state[0].numpy()
    chunked = Hubert(32, hubert, chunk_seconds=1.0, batch=3).hidden_state(wave)
    assert chunked.shape == whole.shape
    assert np.abs(chunked - whole).max() < 1e-4


def test_hubert_spans_attend_to_what_is_near(hubert):
    wave = noise(24.0)
    whole = Hubert(32, hubert).hidden_state(wave)
    cut = Hubert(32, hubert, span_seconds=12.0, overlap_seconds=3.0).hidden_state(wave)
    assert cut.shape == whole.shape
    error = np.abs(cut - whole).mean() / np.abs(whole - whole.mean(axis=0)).mean()
    shuffled = np.abs(np.roll(whole, 50, axis=0) - whole).mean() / np.abs(whole - whole.mean(axis=0)).mean()
    assert error < 0.05 < shuffled


@pytest.mark.parametrize(("rows", "span", "overlap"), [(10, 20, 3), (21, 20, 3), (100, 20, 3), (101, 20, 9)])
def test_spans_keep_every_row_once_and_away_from_their_ends(rows, span, overlap):
    cut = spans(rows, span, overlap)
    assert [row for _, first, last in cut for row in range(first, last)] == list(range(rows))
    for start, first, last in cut:
        assert first == 0 or first - start >= overlap
        assert last == rows or start + span - last >= overlap
    with pytest.raises(SemTalkError, match="leaves nothing"):
        spans(100, 20, 10)


def test_hubert_frames_follow_the_clock(hubert):
    encoder = Hubert(32, hubert)
    wave = noise(4.0)
    wave[32000:] *= 0.01
    assert encoder(Utterance(wave, [], 120)).shape == (120, 32)
    loud = Hubert(32, hubert, heard_rate=22050)
    assert loud.rate == pytest.approx(22050 / 320)
    a, b = (e(Utterance(wave, [], 120)) for e in (encoder, loud))
    changes = [np.abs(np.diff(x, axis=0)).mean(axis=1) for x in (a, b)]
    for change in changes:  # the voice drops at frame 60 at whatever rate the model hears it
        quiet, loud_part = change[70:110].std(), change[10:50].std()
        assert quiet != pytest.approx(loud_part, rel=0.01)
    assert encoder(Utterance(noise(0.01), [], 1)).shape == (1, 32)
    with pytest.raises(SemTalkError, match="dim=20.*32 channels"):
        Hubert(20, hubert)


def test_a_missing_model_names_the_command_that_fetches_it(tmp_path):
    features = compose("train", "features=paper").features
    with pytest.raises(SemTalkError, match="hf download facebook/hubert-large-ls960-ft.*features=offline"):
        build_encoder(features, "hubert")
    with pytest.raises(SemTalkError, match="hf download openai/clip-vit-base-patch32"):
        build_encoder(features, "sentence")
    with pytest.raises(SemTalkError, match="hf download facebook/fasttext-en-vectors"):
        build_encoder(features, "words")
    with pytest.raises(SemTalkError, match="pip install -e .\\[emotion\\].*paper_labels"):
        build_encoder(features, "emotion")
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(SemTalkError, match="does not hold a readable model"):
        Hubert(32, str(tmp_path))


def test_clip_reads_the_words_of_each_window(tmp_path):
    encoder = ClipSentence(16, save_clip(tmp_path / "clip", longest=20), stride=20)
    words = [("the", 0.0, 0.5), ("end", 0.6, 1.0), ("x" * 60, 5.0, 5.4)]
    rows = encoder(Utterance(noise(6.0), words, 180))
    assert rows.shape == (9, 16) and np.isfinite(rows).all()
    assert np.abs(rows[0] - rows[1]).max() > 1e-4  # both words, then only the second
    assert np.array_equal(rows[3], rows[4])  # nothing is said in either window
    assert encoder.counts["sentences cut at the model's longest text"] == 1
    assert count_lines({"sentence": encoder}) == ["sentences cut at the model's longest text: 1 of 4"]


def fasttext_files(folder):
    from gensim.models import FastText as Trained
    from gensim.models.fasttext import save_facebook_model

    sentences = [["the", "quick", "brown", "fox"], ["the", "lazy", "dog"]] * 5
    model = Trained(sentences, vector_size=12, min_count=1, epochs=2, bucket=200, seed=1, workers=1)
    save_facebook_model(model, str(folder / "tiny.bin"))
    model.wv.save_word2vec_format(str(folder / "tiny.vec"))
    return model.wv


def test_fasttext_files_of_both_kinds(tmp_path):
    vectors = fasttext_files(tmp_path)
    said = Utterance(noise(2.0), [("The", 0.0, 0.4), ("foxes", 0.5, 1.0), ("dog", 1.0, 1.001)], 60)
    binary, text = FastText(12, str(tmp_path / "tiny.bin")), FastText(12, str(tmp_path / "tiny.vec"))
    a, b = binary(said), text(said)
    assert np.allclose(a[3], vectors["the"], atol=1e-6) and np.allclose(b[3], a[3], atol=1e-5)
    assert np.allclose(a[20], vectors["foxes"], atol=1e-6) and not b[20].any()
    assert np.allclose(a[30], vectors["dog"], atol=1e-6) and not a[31:].any()
    for encoder in (binary, text):
        assert count_lines({"words": encoder}) == ["words that the fastText file does not have: 1 of 3"]
    (tmp_path / "bad.vec").write_text("no vectors\n")
    with pytest.raises(SemTalkError, match="not a readable fastText file"):
        FastText(12, str(tmp_path / "bad.vec"))


def test_the_releases_word_list_is_read_without_running_it(tmp_path):
    vectors = np.random.default_rng(0).standard_normal((7, 5)).astype(np.float32)
    write_vocabulary(tmp_path / "vocab.pkl", ["hello", "there", "friend"], vectors)
    said = Utterance(noise(1.0), [("Hello", 0.1, 0.3), ("stranger", 0.5, 0.6)], 30)
    ids = VocabularyIds(5, str(tmp_path / "vocab.pkl"))
    track = ids(said)
    assert track.dtype == np.int64 and track[[0, 4, 15, 29]].tolist() == [0, 4, 3, 0]
    assert count_lines({"words": ids}) == ["words that the release's list does not have: 1 of 2"]
    (tmp_path / "vocab.json").write_text(json.dumps(["", "", "", "", "hello", "there", "friend"]))
    assert np.array_equal(VocabularyIds(5, str(tmp_path / "vocab.json"))(said), track)
    assert np.allclose(VocabularyVectors(5, str(tmp_path / "vocab.pkl"))(said)[4], vectors[4])
    write_vocabulary(tmp_path / "other.pkl", ["a"], name="Other")
    with pytest.raises(SemTalkError, match="some_loader.Other, which is refused"):
        VocabularyIds(5, str(tmp_path / "other.pkl"))


def test_a_pickle_that_runs_code_is_refused(tmp_path):
    class Evil:
        def __reduce__(self):
            return (__import__("os").system, (f"touch {tmp_path}/ran",))

    for protocol in (0, 2, 4):
        (tmp_path / "evil.pkl").write_bytes(pickle.dumps({"a": Evil()}, protocol=protocol))
        with pytest.raises(SemTalkError, match="is refused; nothing was run"):
            load_pickle(tmp_path / "evil.pkl")
    assert not (tmp_path / "ran").exists()
    content = {"a": np.arange(3.0, dtype=np.float32), "b": [1, "x", None], "c": {1, 2}}
    for protocol in (0, 2, 5):
        (tmp_path / "good.pkl").write_bytes(pickle.dumps(content, protocol=protocol))
        assert load_pickle(tmp_path / "good.pkl")["a"].tolist() == [0, 1, 2]


def test_emotion_labels(corpus):
    rows = EmotionLabel(8, 20)(Utterance(noise(2.0), [], 60, emotion="anger"))
    assert rows.shape == (3, 8) and rows[:, 2].tolist() == [1, 1, 1] and rows.sum() == 3
    with pytest.raises(SemTalkError, match="emotion=None: choose one of neutral"):
        EmotionLabel(8, 20)(Utterance(noise(2.0), [], 60))


def test_emotion2vec_through_the_interface_of_its_package(tmp_path, monkeypatch):
    """funasr itself is too large for a test; this stands in for its AutoModel, with the same call and result."""
    heard = []

    class AutoModel:
        def __init__(self, model, **options):
            assert model == str(tmp_path) and options["disable_update"]

        def generate(self, wave, granularity, extract_embedding):
            assert granularity == "utterance" and extract_embedding
            heard.append(len(wave))
            return [{"key": "x", "labels": ["angry", "happy"], "scores": [0.2, 0.8], "feats": np.full(6, wave.std())}]

    monkeypatch.setitem(sys.modules, "funasr", types.SimpleNamespace(AutoModel=AutoModel))
    chosen = ["features=paper", f"features.slots.emotion.model={tmp_path}", "features.slots.emotion.dim=6"]
    encoder = build_encoder(compose("train", *chosen).features, "emotion")
    said = Utterance(noise(3.0), [], 90)
    assert encoder(said).shape == (5, 6) and encoder.labels(said) == ["happy"] * 5
    assert heard[0] == 64 * 16000 // 30 and min(heard) >= 1600
    with pytest.raises(SemTalkError, match="dim=5: .* has 6 channels"):
        build_encoder(compose("train", *chosen[:2], "features.slots.emotion.dim=5").features, "emotion")(said)


def test_the_releases_amplitude_describes_the_first_fraction(corpus):
    wave = noise(4.0) * np.linspace(0.1, 1.0, 64000, dtype=np.float32)
    said = Utterance(wave, [], 120)
    right, released = Rhythm()(said), Rhythm(amplitude_hop=1)(said)
    assert np.array_equal(right[:, 1:], released[:, 1:])
    assert right[-5:, 0].mean() > 4 * right[:5, 0].mean()
    assert released[-5:, 0].mean() < 1.5 * released[:5, 0].mean()


def test_every_feature_preset_names_encoders_that_exist():
    for name in ("offline", "light", "paper", "paper_labels", "release"):
        features = compose("train", f"features={name}").features
        for slot in SLOTS:
            try:
                build_encoder(features, slot)
            except SemTalkError as error:
                assert "does not have" not in str(error) and "do not fit" not in str(error)
    assert set(build_encoders(compose("train").features)) == set(SLOTS)
    ablated = compose("train", "experiment=ablation/no_hubert", "features=paper").features
    assert not build_encoder(ablated, "hubert")(Utterance(noise(1.0), [], 30)).any()


TRANSCRIPTS = {
    "whisper.json": json.dumps({"segments": [{"start": 0, "end": 2, "words": [
        {"word": " Hello,", "start": 0.1, "end": 0.5}, {"word": " you.", "start": 0.6, "end": 0.9},
        {"word": " -", "start": 0.9, "end": 0.9}]}]}),
    "whisperx.json": json.dumps({"segments": [{"text": "hello you", "start": 0.1, "end": 0.9, "words": [
        {"word": "hello", "start": 0.1, "end": 0.5, "score": 0.9}, {"word": "you", "start": 0.6, "end": 0.9}]}]}),
    "pipeline.json": json.dumps({"text": "hello you", "chunks": [
        {"text": " hello", "timestamp": [0.1, 0.5]}, {"text": " you", "timestamp": [0.6, 0.9]}]}),
    "spoken.srt": "1\n00:00:00,100 --> 00:00:00,500\n\u201chello\u2026\n\n"
    "2\n00:00:00,600 --> 00:00:00,900\n<i>you</i>!\n",
}  # fmt: skip


WORDLESS = """File type = "ooTextFile"
Object class = "TextGrid"

0
1
<exists>
1
"IntervalTier"
"words"
0
1
1
0
1
"<sil>"
"""


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
@pytest.mark.parametrize("name", TRANSCRIPTS)
def test_transcripts_of_every_kind(tmp_path, name, encoding):
    (tmp_path / name).write_text(TRANSCRIPTS[name], encoding=encoding)
    words = read_transcript(tmp_path / name, noise(1.0))
    assert [word.text.lower() for word in words] == ["hello", "you"]
    assert [word.start for word in words] == pytest.approx([0.1, 0.6], abs=0.02)


def test_plain_text_is_spread_over_the_speech(tmp_path):
    wave = noise(6.0)
    wave[16000:64000] *= 1e-4
    (tmp_path / "said.txt").write_text("One, two: three - 'four'.")
    words = read_transcript(tmp_path / "said.txt", wave)
    assert [word.text for word in words] == ["One", "two", "three", "four"]
    assert words[0].start < 0.1 and words[-1].end == pytest.approx(6.0, abs=0.1)
    assert words[0].end <= 1.1 and words[3].start > 4.0  # nothing is said in the silence


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("a.json", "{}", "neither a Whisper nor a WhisperX"),
        ("a.json", "{", "not a readable .json"),
        ("a.srt", "no times", "is this an srt"),
        ("a.json", json.dumps([{"word": "x", "start": 3, "end": 1}]), "runs from 3.0 to 1.0"),
        ("a.json", json.dumps([{"word": "x", "start": 1, "end": 5}, {"word": "y", "start": 2, "end": 3}]), "begins at"),
        ("missing.txt", None, "no such transcript"),
        ("a.json", "[" * 20_000, "not a readable .json"),
        ("a.json", f'[{{"word": "x", "start": 0, "end": 1{"0" * 400}}}]', "not a readable .json"),
        ("a.json", '[{"word": "x", "start": 0, "end": 1e300}]', r"runs from 0.0 to 1e\+300"),
        ("a.json", '[{"word": "x", "start": 1000, "end": 1001}]', "begins at 1000.00 s, but the sound ends at 1.00 s"),
        ("a.srt", "1\n99999999:00:00,000 --> 99999999:00:01,000\nx\n", "runs from 359999996400"),
        ("a.txt", " \n", "there is no word in it"),
        ("a.json", "[]", "there is no word in it"),
        ("a.json", "", "there is no word in it"),
        ("a.txt", "... [Music]", "there is no word in it; give those of this recording, or none"),
        ("a.json", json.dumps([{"word": "[Music]", "start": 0, "end": 1}]), "there is no word in it"),
        ("a.srt", "1\n00:00:00,000 --> 00:00:01,000\n<unk>\n", "there is no word in it"),
        ("a.TextGrid", WORDLESS, "there is no word in it"),
    ],
)
def test_bad_transcripts_are_one_sentence(tmp_path, name, text, says):
    if text is not None:
        (tmp_path / name).write_text(text)
    with pytest.raises(SemTalkError, match=says) as error:
        read_transcript(tmp_path / name, noise(1.0))
    assert name in str(error.value)


def test_decoding_ends_at_the_longest_sound_that_is_taken(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.zeros(48000), 16000)
    assert len(load_audio(tmp_path / "a.wav", longest=3.0)) == 48000
    soundfile.write(tmp_path / "a.wav", np.zeros(48001), 16000)
    with pytest.raises(SemTalkError, match=r"a.wav: more than 3 s of sound, the most that is taken; give"):
        load_audio(tmp_path / "a.wav", longest=3.0)

    def endless():
        yield from [np.zeros(16000)] * 4
        raise AssertionError("it was decoded on")

    with pytest.raises(SemTalkError, match="more than 3 s"):
        list(_refuse_long(Path("a.m4a"), endless(), 3.0))
