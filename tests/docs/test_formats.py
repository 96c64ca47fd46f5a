"""docs/formats.md: the keys, shapes and types of its tables are those of the files that the commands write."""

import csv
import json
import re
import shutil

import numpy as np
import pytest
import torch
from conftest import ROOT, run_command
from made_head import write_head
from safetensors import safe_open

from semtalk.avatar import write_avatar
from semtalk.evaluation.comparison import compare
from semtalk.evaluation.metrics import MAIN, METRICS
from semtalk.evaluation.report import print_comparison
from semtalk.evaluation.result import WEIGHT
from semtalk.motion import load_motion
from semtalk.motion.skeleton import JOINT_NAMES, NUM_JOINTS, PARENTS
from semtalk.settings.commands import CHAIN

PAGE = (ROOT / "docs" / "formats.md").read_text(encoding="utf-8")
FRAMES = 175
"""Of examples/spoken.flac."""
KINDS = {"text": str, "number": (int, float), "group": dict, "list": list, "true or false": bool}


def table(heading: str, after: str = "") -> dict[str, list[str]]:
    """First cell -> the others, of the first table below a heading of the page, and below a sentence there."""
    _, found, section = PAGE.partition(f"\n## {heading}\n")
    assert found, f"docs/formats.md has no section '{heading}'"
    section = section.partition("\n## ")[0].partition(after)[2] if after else section.partition("\n## ")[0]
    lines = re.search(r"(?m)(^\|.*\n)+", section).group().splitlines()[2:]
    rows = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]
    return {row[0].strip("`"): row[1:] for row in rows}


def compare_arrays(rows: dict[str, list[str]], arrays: dict[str, tuple[tuple[int, ...], str]]) -> dict[str, int]:
    """Hold a table against arrays' shapes and types; what each letter stands for."""
    assert sorted(rows) == sorted(arrays)
    letters: dict[str, int] = {}
    for key, (shape, kind, *_) in rows.items():
        own, own_kind = arrays[key]
        sizes = [size.strip() for size in shape.strip("()").split(",") if size.strip()]
        assert len(sizes) == len(own) and kind == ("text" if own_kind.startswith("<U") else own_kind), key
        for size, number in zip(sizes, own, strict=True):
            assert letters.setdefault(size, number) == number if size.isalpha() else int(size) == number, key
    assert len(set(letters.values())) == len(letters), "two letters for one length"
    return letters


def compare_keys(rows: dict[str, list[str]], content: dict) -> None:
    """Hold a table against the keys and types of a group; a value may be nothing where the page says so."""
    assert sorted(rows) == sorted(content)
    for key, (kind, said) in rows.items():
        assert isinstance(content[key], KINDS[kind]) or (content[key] is None and "nothing" in said), key


def npz_arrays(path) -> dict[str, tuple[tuple[int, ...], str]]:
    with np.load(path, allow_pickle=False) as file:
        return {key: (file[key].shape, str(file[key].dtype)) for key in file.files}


@pytest.fixture(scope="module")
def written(smoke, tmp_path_factory):
    """Folders of a generation of 5.7 s, of an evaluation, of a comparison, and of the run."""
    folder, arguments = smoke
    made, found, compared = (tmp_path_factory.mktemp(name) for name in ("made", "found", "compared"))
    spoken = ROOT / "examples" / "spoken.flac"
    words = ["transcript=none", "format=[bvh,glb,arkit]", "video_seconds=0.3"]
    with pytest.MonkeyPatch.context() as patch:  # a figure has a face
        patch.syspath_prepend(write_head(tmp_path_factory.mktemp("site")))
        run_command("generate.py", f"audio={spoken}", *arguments, *words, f"out={made}")
    measured = ["metrics=extended", "samples=2", "video=false", f"out={found}"]
    run_command("eval.py", *arguments, *measured)
    for seed in range(2):
        shutil.copytree(found, compared / f"one_seed{seed}")
    print_comparison(compare([str(found), str(compared / "one")], "test"), compared)
    return made, found, compared, folder


def test_motion_files_are_as_the_page_says(written):
    path, rows = written[0] / "spoken.npz", table("Motion: npz")
    assert compare_arrays(rows, npz_arrays(path))["T"] == FRAMES
    with np.load(path) as file:
        for key in ("model", "gender", "mocap_frame_rate"):
            assert str(file[key]) == rows[key][-1].strip("`")


def test_the_page_lists_the_joints_in_their_order():
    rows = table("Units, axes and frames of reference", "SMPL-X's order:")
    named = [name for cell, *_ in rows.values() for name in re.findall(r"`(\w+)`", cell)]
    assert tuple(named) == JOINT_NAMES
    spans = [tuple(map(int, re.match(r"(\d+) to (\d+)", key).groups())) for key in rows]
    assert [last - first + 1 for first, last in spans] == [
        len(re.findall(r"`\w+`", cell)) for cell, *_ in rows.values()
    ]


def test_the_axes_are_as_the_page_says(body):
    rest = dict(zip(JOINT_NAMES, body.rest_joints(torch.zeros(300)).tolist(), strict=True))
    assert rest["left_hip"][0] > 0 > rest["right_hip"][0], "its left is +x"
    assert rest["head"][1] > rest["left_ankle"][1], "y is up"
    assert rest["left_foot"][2] > rest["left_ankle"][2], "toes, and the face, point to +z"
    assert "0.35 m below" in PAGE and rest["pelvis"][1] == pytest.approx(-0.35, abs=0.005)
    assert abs(rest["left_wrist"][1] - rest["left_shoulder"][1]) < 0.1, "arms are stretched to the sides"


def test_skeletons_are_as_the_page_says(written):
    lines = (written[0] / "spoken.bvh").read_text().splitlines()
    rows = table("Skeleton: bvh")
    found: dict[str, str] = {}
    for line in map(str.strip, lines):
        if line.startswith(("ROOT ", "JOINT ")):
            name = line.split()[1]
        elif line.startswith("CHANNELS "):
            found[name] = line.split(maxsplit=2)[2]
    assert found.pop("pelvis") == rows["pelvis"][0].strip("`")
    assert set(found.values()) == {rows["every other"][0].strip("`")} and len(found) == NUM_JOINTS - 1
    assert "Frame Time: 0.03333333" in lines and f"Frames: {FRAMES}" in lines and "0.03333333 s" in PAGE
    assert sum("End Site" in line for line in lines) == NUM_JOINTS - len(set(PARENTS) - {-1})


def test_faces_are_as_the_page_says(written):
    with (written[0] / "spoken.csv").open(newline="") as file:
        first, *_ = rows = list(csv.DictReader(file))
    columns, at = list(first), 0
    for cell in table("Face: csv"):
        begin, *others = [columns.index(name) for name in re.findall(r"\w+", cell.replace("to", " "))]
        assert begin == at, cell
        at = max([begin, *others]) + 1
    assert at == len(columns) == 63 and len(rows) == FRAMES
    assert first["Timecode"] == re.search(r"sound begins at `(.*?)`", PAGE).group(1)
    assert first["BlendShapeCount"] == table("Face: csv")["BlendShapeCount"][0]


def test_figures_are_as_the_page_says(written):
    data = (written[0] / "spoken.glb").read_bytes()
    document = json.loads(data[20 : 20 + int.from_bytes(data[12:16], "little")])
    kinds = {5126: "float32", 5123: "uint16", 5125: "uint32"}
    widths = {"SCALAR": 1, "VEC3": 3, "VEC4": 4, "MAT4": 16}

    def of(number: int) -> tuple[tuple[int, int], str]:
        accessor = document["accessors"][number]
        return (accessor["count"], widths[accessor["type"]]), kinds[accessor["componentType"]]

    (mesh,), (skin,), (animation,) = document["meshes"][0]["primitives"], document["skins"], document["animations"]
    arrays = {name: of(number) for name, number in mesh["attributes"].items()}
    arrays |= {"indices": of(mesh["indices"]), "inverseBindMatrices": of(skin["inverseBindMatrices"])}
    for channel in animation["channels"]:
        sampler = animation["samplers"][channel["sampler"]]
        arrays |= {"input": of(sampler["input"]), channel["target"]["path"]: of(sampler["output"])}
    weights = arrays.pop("weights")
    assert compare_arrays(table("Figure: glb"), arrays)["T"] == FRAMES
    names = [*JOINT_NAMES, "figure", "face"]
    assert [node["name"] for node in document["nodes"]] == names and animation["name"] == "motion"
    skin, *others = document["meshes"][1]["primitives"]
    own = {name: of(number) for name, number in skin["attributes"].items() if name in ("NORMAL", "COLOR_0")}
    own |= {"targets": of(skin["targets"][0]["POSITION"]), "weights": weights}
    found = compare_arrays(table("Figure: glb", "these:"), own)
    assert found["W"] == 52 * FRAMES and len(others) == 6


def test_characters_are_as_the_page_says(body, written, tmp_path):
    import sys

    sys.path.append(str(ROOT / "tests" / "avatar"))
    from characters import channels, load, write_character

    write_character(tmp_path / "a.glb", body, targets=["jawOpen", "other", "third"])
    motion = load_motion(written[0] / "spoken.npz")
    document, data = load(write_avatar(tmp_path / "b.glb", motion, tmp_path / "a.glb", body))
    rows, arrays = table("Character: glb and vrm"), {"input": ((len(motion), 1), "float32")}
    for (_, path), values in channels(document, data).items():
        arrays[path] = (values.shape, str(values.dtype))
    assert compare_arrays(rows, arrays)["T"] == FRAMES
    assert document["animations"][0]["name"] == "semtalk" and "behind it an animation, `semtalk`" in PAGE


def test_videos_are_as_the_page_says(written):
    import av
    from PIL import Image

    rows = table("Video: mp4, and its contact sheet: png")
    with av.open(str(written[0] / "spoken.mp4")) as file:
        video, audio = file.streams.video[0], file.streams.audio[0]
        picture, sound = video.codec_context, audio.codec_context
        said = f"{picture.name}, {picture.width} x {picture.height} pixels, {video.average_rate} frames a second"
        assert rows["video"][0] == said
        assert rows["audio"][0] == f"{sound.name}, {sound.layout.name}, {sound.sample_rate} Hz"
    with Image.open(written[0] / "spoken.png") as sheet:
        assert rows["png"][0] == f"{sheet.width} x {sheet.height} pixels"


def test_results_are_as_the_page_says(written):
    found = written[1]
    result = json.loads((found / "metrics.json").read_text())
    compare_keys(table("Evaluation: metrics.json"), result)
    assert {"run", "known_answers", "gate", "hearing"} <= {key for key, value in result.items() if value}
    assert set(result["embedder"]) == {"source", "sha256", "network"} and len(result["embedder"]["sha256"]) == 12
    assert set(result["samples"]) == {"count", "diversity"} and result["samples"]["diversity"] is not None
    assert set(result["gate"]) == {"precision", "recall", "f1"}
    with (found / "per_take.csv").open(newline="") as file:
        columns = next(csv.reader(file))
    extended = {f"{name}{ending}" for name in set(METRICS) - set(MAIN) for ending in ("", WEIGHT)}
    assert [name for name in columns if name not in extended] == list(table("Evaluation: per_take.csv"))
    letters = compare_arrays(table("Evaluation: features.npz"), npz_arrays(found / "features.npz"))
    with np.load(found / "features.npz") as file, (found / "per_take.csv").open(newline="") as takes:
        frames = [int(row["frames"]) for row in csv.DictReader(takes) if row["row"] == "fused"]
        lengths = file["fgd/fused/lengths"]
        assert lengths.tolist() == [2 * (one // 32) for one in frames] and sum(lengths) == letters["F"]


def test_comparisons_are_as_the_page_says(written):
    comparison = json.loads((written[2] / "compare.json").read_text())
    compare_keys(table("Comparison: compare.json"), comparison)
    cells = [cell for run in comparison["runs"].values() for cell in run.values()]
    assert set().union(*cells) == set(re.findall(r"`(\w+)`", table("Comparison: compare.json")["runs"][1]))


def test_environments_are_as_the_page_says(written):
    made, found, compared, folder = written
    rows = table("Made with: environment.json")
    for path in (made, found, compared, folder / "runs" / "smoke" / "base"):
        content = json.loads((path / "environment.json").read_text())
        content.pop("earlier", None)
        assert ("command" in content) == (path == made)
        content.pop("command", None)
        compare_keys(rows, content)
        assert set(re.findall(r"`(\w+)`", rows["machine"][1])) == set(content["machine"])


def test_every_command_leaves_the_files_that_the_page_lists(written):
    rows = table("What commands write")
    kinds = {"npz", "bvh", "glb", "mp4", "png", "json", "md", "csv", "tex"}
    for command, folder in zip(("generate.py`", "eval.py`", "eval.py compare=`"), written, strict=False):
        named = set(re.findall(r"`([\w.]+\.(?:npz|bvh|glb|mp4|png|json|md|csv|tex))`", rows[command.strip("`")][1]))
        there = {path.name for path in folder.iterdir() if path.suffix.removeprefix(".") in kinds}
        there = {name.replace("spoken", "VOICE") for name in there}
        there = {f"TAKE{name[-4:]}" if re.match(r"\d_", name) else name for name in there}
        left_out = {"TAKE.mp4", "TAKE.png"} if command == "eval.py`" else set()
        assert named - left_out == there, command


@pytest.mark.parametrize("phase", CHAIN)
def test_checkpoints_are_as_the_page_says(phase, smoke):
    path = smoke[0] / "runs" / "smoke" / phase / "best.ckpt"
    checkpoint = torch.load(path, weights_only=True)
    compare_keys(table("Checkpoints: ckpt"), checkpoint)
    stamp = table("Checkpoints: ckpt", "Below `semtalk`:")
    compare_keys(stamp, checkpoint["semtalk"])
    assert set(re.findall(r"`(\w+)`", stamp["meta"][1])) == set(checkpoint["semtalk"]["meta"])
    assert f"`{phase}`" in stamp["phase"][1] and checkpoint["semtalk"]["format"] == 2
    (keeper,) = checkpoint["callbacks"].values()
    assert set(keeper) == set(re.findall(r"`(\w+)`", table("Checkpoints: ckpt")["callbacks"][1])) - {"Keeper"}
    assert any(name.startswith("network.") for name in checkpoint["state_dict"])
    with (path.parent / "metrics.csv").open(newline="") as file:
        columns = next(csv.reader(file))
    assert set(table("Curves: metrics.csv")) <= set(columns)
    assert all(re.match(r"epoch|step|(train|val)/", name) for name in columns)


def test_the_store_is_as_the_page_says(smoke):
    (folder,) = (smoke[0] / "data" / "store").iterdir()
    first = min(folder.glob("*.record.json")).name.removesuffix(".record.json")
    arrays = {}
    for path in folder.glob(f"{first}.*.safetensors"):
        with safe_open(path, framework="np") as file:
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        name = path.name.split(".")[1]
        arrays |= {f"{name}: {key}": (value.shape, str(value.dtype)) for key, value in tensors.items()}
    letters = compare_arrays(table("The prepared store: safetensors"), arrays)
    assert letters["W"] == -(-letters["T"] // 20) and letters["A"] == letters["T"] * 16000 // 30
