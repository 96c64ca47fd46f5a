"""Reads sound of any format as 16 kHz mono, recognised by content and decoded block by block."""

import os
import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import soundfile
import soxr

from semtalk.errors import SemTalkError
from semtalk.features.utterance import mono, refuse_short
from semtalk.motion.skeleton import SAMPLE_RATE

AUDIO_SUFFIXES = (".wav", ".flac", ".mp3", ".m4a", ".ogg", ".opus", ".aac", ".webm", ".mp4")
"""What is taken from a folder; a file that is named is read whatever it is called."""
KNOWN = ", ".join(suffix[1:] for suffix in AUDIO_SUFFIXES[:-1]) + f" or {AUDIO_SUFFIXES[-1][1:]}"
RATES = (1000, 1_000_000)
"""Lowest and highest rate in Hz that a recording of speech can have."""
BLOCK = 1 << 18
"""Samples decoded at once."""
UNKNOWN_SIZES = (0, 0xFFFFFFFF, 0x7FFFFFFF)
"""What programs that write wav to a pipe put where the size belongs."""


def find_audio(audio: str | list[str]) -> list[Path]:
    """Recordings of a file, a list of files, or a folder.

    Raises:
        SemTalkError: A file is missing, a folder holds no recording, or two would be written to one name.
    """
    found: list[Path] = []
    for entry in [audio] if isinstance(audio, str) else audio:
        path = Path(entry)
        if path.is_dir():
            inside = sorted(p for p in path.iterdir() if p.suffix.lower() in AUDIO_SUFFIXES)
            if not inside:
                raise SemTalkError(f"audio={entry}: the folder holds no {', '.join(AUDIO_SUFFIXES)}.")
            found += inside
        elif path.is_file():
            found.append(path)
        else:
            raise SemTalkError(f"{path}: no such sound file.")
    stems = [path.stem for path in found]
    if twice := sorted({stem for stem in stems if stems.count(stem) > 1}):
        raise SemTalkError(f"audio: two recordings are called {twice[0]}; their results would have one name.")
    return found


def load_audio(path: str | Path, longest: float | None = None) -> np.ndarray:
    """Read a sound file as (S,) mono float32 at 16 kHz.

    wav, flac, ogg, mp3 and whatever else libsndfile knows, then m4a, opus, webm and whatever else FFmpeg knows; what
    the name says does not matter.

    Args:
        path: Of the file.
        longest: Seconds that are taken at most; decoding ends there, whatever the header says.

    Raises:
        SemTalkError: The file is missing, cut short, no sound, empty, shorter than a frame of motion, longer than
            ``longest``, of a rate that speech does not have, or holds samples that are NaN, infinite or not scaled.
    """
    path = Path(path)
    if not path.is_file():
        raise SemTalkError(f"{path}: no such sound file.")
    if not path.stat().st_size:
        raise SemTalkError(f"{path}: the sound file is empty.")
    try:
        sizeless = _refuse_cut_wav(path)
        found = _ffmpeg_blocks(path) if sizeless else _soundfile_blocks(path)
        blocks = list(_refuse_long(path, found, longest))
    except soundfile.LibsndfileError:
        blocks = list(_refuse_long(path, _ffmpeg_blocks(path), longest))
    wave = np.concatenate(blocks) if blocks else np.zeros(0, np.float32)
    if not len(wave):
        raise SemTalkError(f"{path}: the sound file is empty.")
    wave = mono(wave, str(path))
    refuse_short(wave, str(path))
    return wave


def _refuse_cut_wav(path: Path) -> bool:
    """Refuse a wav whose data are shorter than its header says; libsndfile would read the rest in silence.

    Returns:
        Whether it is one that was written to a pipe with the size 0, behind which libsndfile sees nothing.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(12)
        if len(head) < 12 or head[:4] != b"RIFF" or head[8:] != b"WAVE":
            return False
        while len(chunk := file.read(8)) == 8:
            name, length = struct.unpack("<4sI", chunk)
            if name == b"data":
                there = size - file.tell()
                if length not in UNKNOWN_SIZES and length > there:
                    raise SemTalkError(f"{path}: cut short: {there} of {length} bytes of sound; copy it again.")
                return length == 0 and there > 0 and not file.read(4).isalpha()  # letters begin another chunk
            file.seek(length + length % 2, 1)
    raise SemTalkError(f"{path}: cut short: a wav header without sound; copy it again.")


def _refuse_long(path: Path, blocks: Iterator[np.ndarray], longest: float | None) -> Iterator[np.ndarray]:
    samples = 0
    for block in blocks:
        samples += len(block)
        if longest is not None and samples > longest * SAMPLE_RATE:
            raise SemTalkError(
                f"{path}: more than {longest:g} s of sound, the most that is taken; give a shorter recording."
            )
        yield block


def _refuse_rate(path: Path, rate: int) -> None:
    low, high = RATES
    if not low <= rate <= high:
        raise SemTalkError(f"{path}: {rate} samples a second; speech has {low} to {high}, so its header is wrong.")


def _system_name(path: Path) -> bytes:
    """Path as libsndfile takes it: any name, and none that means something else to it, as ``-`` does."""
    return os.fsencode(path.absolute())


def _soundfile_blocks(path: Path) -> Iterator[np.ndarray]:
    with soundfile.SoundFile(_system_name(path)) as file:
        _refuse_rate(path, file.samplerate)
        same = file.samplerate == SAMPLE_RATE
        resampler = None if same else soxr.ResampleStream(file.samplerate, SAMPLE_RATE, 1, dtype="float32")
        for block in file.blocks(BLOCK, dtype="float32", always_2d=True):
            mono = block.mean(axis=1)
            yield mono if resampler is None else resampler.resample_chunk(mono)
        if resampler is not None:
            yield resampler.resample_chunk(np.zeros(0, np.float32), last=True)


def _ffmpeg_blocks(path: Path) -> Iterator[np.ndarray]:
    import av

    try:
        with av.open(str(path.absolute())) as container:
            if not container.streams.audio:
                raise SemTalkError(f"{path}: there is no sound in it.")
            stream = container.streams.audio[0]
            _refuse_rate(path, stream.rate)
            resampler = av.AudioResampler(format="fltp", rate=SAMPLE_RATE)
            for frame in container.decode(stream):
                for out in resampler.resample(frame):
                    yield out.to_ndarray().mean(axis=0)
            for out in resampler.resample(None):
                yield out.to_ndarray().mean(axis=0)
    except SemTalkError:
        raise
    except Exception as error:  # where a codec is unknown, the objects lack attributes, of each version others
        raise SemTalkError(
            f"{path}: not a readable sound file, whatever its name says; give {KNOWN}, or record it anew."
        ) from error


def sound_seconds(path: Path) -> float | None:
    """Length of a sound file by its header, or none where there is no readable one."""
    try:
        return soundfile.info(_system_name(path)).duration
    except (soundfile.LibsndfileError, OSError):
        return None
