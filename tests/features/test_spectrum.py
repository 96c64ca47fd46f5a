"""Spectra, onsets and loud parts are librosa's, without librosa."""

import librosa
import numpy as np
import pytest
from tiny import voice

from semtalk.features import spectrum
from semtalk.features.spectrum import decibels, loud_parts, mel_filters, mel_power, onset_frames

WAVES = {
    "voice": voice(4.3, seed=2),
    "shouts": np.concatenate([0.001 * voice(1.0), voice(0.7), np.zeros(9000), 0.3 * voice(1.3, seed=1)]),
    "noise": np.random.default_rng(0).standard_normal(50_000),
    "short": voice(1.0)[:600],
    "silence": np.zeros(9000),
}


@pytest.fixture(params=list(WAVES))
def wave(request) -> np.ndarray:
    return WAVES[request.param].astype(np.float32)


@pytest.mark.parametrize(("bands", "n_fft", "hop"), [(128, 2048, 512), (32, 1024, 256), (80, 400, 160)])
def test_mel_bands_are_those_of_librosa(wave, bands, n_fft, hop, monkeypatch):
    assert np.allclose(mel_filters(bands, n_fft), librosa.filters.mel(sr=16000, n_fft=n_fft, n_mels=bands), atol=1e-8)
    monkeypatch.setattr(spectrum, "CHUNK", 50)
    theirs = librosa.feature.melspectrogram(
        y=np.pad(wave, n_fft), sr=16000, n_fft=n_fft, hop_length=hop, n_mels=bands, center=False
    )
    ours = mel_power(np.pad(wave, n_fft // 2), bands, n_fft, hop)
    assert ours.shape == theirs.shape and ours.dtype == np.float32
    assert np.allclose(ours, theirs, rtol=1e-4, atol=1e-6 * max(theirs.max(), 1e-9))
    assert np.allclose(decibels(theirs, 1e-6), librosa.power_to_db(theirs, ref=1.0, amin=1e-6, top_db=None), atol=1e-4)


def test_onsets_are_those_of_librosa(wave):
    assert onset_frames(wave).tolist() == librosa.onset.onset_detect(y=wave, sr=16000, hop_length=512).tolist()
    assert (len(onset_frames(wave)) > 2) == (np.abs(wave).max() > 0 and len(wave) > 9000)


def test_loud_parts_are_those_of_librosa(wave):
    theirs = librosa.effects.split(wave, top_db=35, frame_length=1024, hop_length=256)
    assert loud_parts(wave).tolist() == theirs.tolist()
