"""Arrays in damaged and foreign files are refused in one sentence, however the file is broken."""

import struct
import zipfile

import numpy as np
import pytest

from semtalk.arrays import read_npy
from semtalk.data.show_pickle import hand_components
from semtalk.errors import SemTalkError
from semtalk.motion.io import load_motion

GOOD = {
    "poses": np.zeros((5, 165)), "expressions": np.zeros((5, 100)), "trans": np.zeros((5, 3)), "betas": np.zeros(300),
    "mocap_frame_rate": np.array(30), "gender": np.array("neutral"),
}  # fmt: skip


def members(path, content, **options):
    with zipfile.ZipFile(path, "w", **options) as archive:
        for name, data in content.items():
            archive.writestr(name, data)


def npz_with(path, compression=zipfile.ZIP_STORED, **raw):
    """An npz whose members of these names hold other bytes."""
    np.savez(path, **GOOD)
    with zipfile.ZipFile(path) as archive:
        content = {name: archive.read(name) for name in archive.namelist()}
    members(path, content | {f"{key}.npy": data for key, data in raw.items()}, compression=compression)


def header(shape, kind="<f8"):
    text = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}".encode()
    text += b" " * (-(len(text) + 11) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text


def with_bytes(path, at, data, compression=zipfile.ZIP_DEFLATED):
    """Changes bytes behind the first local header's signature, and where it stands in the directory too."""
    npz_with(path, compression)
    content = bytearray(path.read_bytes())
    directory = content.index(b"PK\x01\x02")
    content[at : at + len(data)] = data
    content[directory + at + 2 : directory + at + 2 + len(data)] = data
    path.write_bytes(content)


def one_byte(path, compression):
    npz_with(path, compression)
    content = bytearray(path.read_bytes())
    for at in range(60, 90):
        content[at] ^= 0xFF
    path.write_bytes(content)


BROKEN = {
    "deflate": lambda path: one_byte(path, zipfile.ZIP_DEFLATED),
    "lzma": lambda path: one_byte(path, zipfile.ZIP_LZMA),
    "no compression": lambda path: one_byte(path, zipfile.ZIP_STORED),
    "encrypted": lambda path: with_bytes(path, 6, b"\x01\x00"),
    "compression": lambda path: with_bytes(path, 8, b"\x63\x00"),
    "huge": lambda path: npz_with(path, poses=header((2_000_000_000, 165))),
    "huge and compressed": lambda path: npz_with(path, zipfile.ZIP_DEFLATED, poses=header((2_000_000_000, 165))),
    "beyond numbers": lambda path: npz_with(path, poses=header((10**30, 165))),
    "below zero": lambda path: npz_with(path, poses=header((-1, 165)) + bytes(800)),
    "too long": lambda path: npz_with(path, poses=header((1, 165)) + bytes(8 * 166)),
    "header": lambda path: npz_with(path, poses=header("(5, 'a")),
    "text": lambda path: npz_with(path, poses=b"no array at all, but a text"),
    "npy": lambda path: path.write_bytes(header((2,)) + bytes(16)),
    "empty": lambda path: path.write_bytes(b""),
    "no ending": lambda path: members(path, {"poses": header((2,))}),
}


@pytest.mark.parametrize("how", BROKEN)
def test_a_broken_npz_is_one_sentence(tmp_path, how):
    BROKEN[how](tmp_path / "a.npz")
    with pytest.raises(SemTalkError, match=r"a\.npz: not a readable npz of plain arrays \(.*\)\.$") as error:
        load_motion(tmp_path / "a.npz")
    assert "\n" not in str(error.value) and "pickle" not in str(error.value)


@pytest.mark.parametrize(
    "key_and_value",
    [
        *(("poses", GOOD["poses"].astype(kind)) for kind in ("c16", "M8[s]", "m8[s]", "?", "u8", "U3", "S3")),
        ("poses", np.zeros((5, 165), [("x", "f4")])), ("poses", np.full((5, 165), None, dtype=object)),
        ("poses", np.array(1.0)), ("expressions", np.array(1.0)), ("betas", np.array(1.0)),
        ("trans", np.full((5, 3), 1e300)), ("trans", np.array([[0.0] * 3] * 4 + [[1e5, 0, 0]])),
        ("betas", np.full(300, 101)), ("betas", np.full(300, 1e30)), ("expressions", np.full((5, 100), 1e30)),
        ("mocap_frame_rate", "thirty"), ("mocap_frame_rate", [30, 30]), ("mocap_frame_rate", []),
        ("mocap_frame_rate", 30j), ("mocap_frame_rate", np.nan),
    ],
)  # fmt: skip
def test_arrays_of_other_kinds_are_refused(tmp_path, key_and_value):
    key, value = key_and_value
    np.savez(tmp_path / "a.npz", **GOOD | {key: value})
    with pytest.raises(SemTalkError, match=rf"a\.npz: .*({key}|frame)"):
        load_motion(tmp_path / "a.npz")


@pytest.mark.parametrize("kind", ["<f4", ">f4", "<f2", ">i4", "i8"])
def test_numbers_of_every_kind_and_order_are_read(tmp_path, kind):
    poses = np.asfortranarray((np.arange(5 * 165) % 7).reshape(5, 165).astype(kind))
    np.savez_compressed(tmp_path / "a.npz", **GOOD | {"poses": poses})
    assert np.array_equal(load_motion(tmp_path / "a.npz").poses.reshape(5, 165), poses)


def test_other_files_of_arrays_are_read_by_the_same_rules(tmp_path):
    (tmp_path / "a.npy").write_bytes(header((2_000_000_000, 55)))
    with pytest.raises(SemTalkError, match=r"a\.npy: not a readable npy of plain numbers"):
        read_npy(tmp_path / "a.npy")
    one_byte(tmp_path / "a.npz", zipfile.ZIP_DEFLATED)
    with pytest.raises(SemTalkError, match=r"a\.npz: .*it lacks hands_componentsl, hands_componentsr and holds betas"):
        hand_components(tmp_path / "a.npz")
