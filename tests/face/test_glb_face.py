"""The face in a glb: read by glTF's rules, and by another reader."""

import json
import struct

import numpy as np
import pytest
import torch
from made_head import write_head

from semtalk.face.mesh import CARRIERS, face_mesh
from semtalk.face.names import ARKIT, INDEX
from semtalk.face.talk import free_face
from semtalk.generation.writers import write_motion
from semtalk.motion.io import Motion

TYPES = {5126: np.float32, 5123: np.uint16, 5125: np.uint32}
WIDTHS = {"SCALAR": 1, "VEC3": 3, "VEC4": 4, "MAT4": 16}


def talking() -> Motion:
    rng = np.random.default_rng(0)
    poses = np.zeros((70, 55, 3), np.float32)
    poses[:, 22, 0] = np.linspace(0, 0.395, 70)
    poses[:, 15, 1] = 0.3
    expressions = rng.uniform(-1, 1, (70, 100)).astype(np.float32)
    return Motion(poses, expressions, np.zeros((70, 3), np.float32), np.zeros(300, np.float32))


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    return write_head(tmp_path_factory.mktemp("site"))


@pytest.fixture
def written(site, monkeypatch, tmp_path, body):
    """A document, its accessors' values, and the motion."""
    monkeypatch.syspath_prepend(site)
    write_motion(tmp_path / "a.glb", talking(), body, corpus="sample")
    return read(tmp_path / "a.glb")


def read(path):
    """A document and its binary part, whose sizes are those that the headers say."""
    data = path.read_bytes()
    magic, version, size = struct.unpack("<4sII", data[:12])
    text = struct.unpack("<I", data[12:16])[0]
    document = json.loads(data[20 : 20 + text])
    binary = data[28 + text :]
    assert (magic, version, size) == (b"glTF", 2, len(data)) and document["buffers"][0]["byteLength"] == len(binary)
    return document, binary


def values(document, binary, number: int) -> np.ndarray:
    """An accessor's values by glTF's rules, which are looked at too."""
    accessor = document["accessors"][number]
    kind, width, count = TYPES[accessor["componentType"]], WIDTHS[accessor["type"]], accessor["count"]

    def viewed(part: dict, kind, size: int) -> np.ndarray:
        view = document["bufferViews"][part["bufferView"]]
        start = view["byteOffset"] + part.get("byteOffset", 0)
        itself = np.dtype(kind).itemsize
        assert start % itself == 0 and size * itself <= view["byteLength"] and start + size * itself <= len(binary)
        return np.frombuffer(binary, kind, size, start)

    found = viewed(accessor, kind, count * width).reshape(count, width).copy()
    if sparse := accessor.get("sparse"):
        rows = viewed(sparse["indices"], TYPES[sparse["indices"]["componentType"]], sparse["count"]).astype(int)
        assert 1 <= sparse["count"] <= count and (np.diff(rows) > 0).all() and rows[-1] < count
        found[rows] = viewed(sparse["values"], kind, sparse["count"] * width).reshape(-1, width)
    if "min" in accessor:
        assert np.allclose(found.min(axis=0), accessor["min"]) and np.allclose(found.max(axis=0), accessor["max"])
    return found


def face_of(document):
    (node,) = (number for number, node in enumerate(document["nodes"]) if node["name"] == "face")
    return node, document["meshes"][document["nodes"][node]["mesh"]]


def test_the_face_is_a_mesh_and_a_node_of_its_own_on_the_figures_skin(written, body):
    document, binary = written
    node, mesh = face_of(document)
    assert document["nodes"][node]["skin"] == 0 and node in document["scenes"][0]["nodes"]
    assert mesh["extras"]["targetNames"] == list(ARKIT) and mesh["weights"] == [0] * 52
    face = face_mesh(body.rest_joints(torch.zeros(300)).numpy())
    head = body.rest_joints(torch.zeros(300))[15].numpy()
    count = corners = 0
    for primitive in mesh["primitives"]:
        attributes = {name: values(document, binary, number) for name, number in primitive["attributes"].items()}
        assert {len(value) for value in attributes.values()} == {len(attributes["POSITION"])}
        assert "min" in document["accessors"][primitive["attributes"]["POSITION"]]
        assert np.allclose(attributes["WEIGHTS_0"].sum(axis=1), 1, atol=1e-6)
        used = attributes["WEIGHTS_0"] > 0
        assert set(attributes["JOINTS_0"][used]) <= set(CARRIERS) and not attributes["JOINTS_0"][~used].any()
        assert np.allclose(np.linalg.norm(attributes["NORMAL"], axis=1), 1, atol=1e-5)
        assert values(document, binary, primitive["indices"]).max() == len(attributes["POSITION"]) - 1
        count += len(attributes["POSITION"])
        corners += document["accessors"][primitive["indices"]]["count"]
        near = np.abs(attributes["POSITION"][:, None] - head - face.vertices[None]).max(axis=2).min(axis=1)
        assert near.max() < 1e-5, "in place"
    assert count == len(face.vertices) and corners == face.faces.size


def test_targets_are_the_heads_shapes(written, body):
    document, binary = written
    _, mesh = face_of(document)
    face = face_mesh(body.rest_joints(torch.zeros(300)).numpy())
    for name in ("jawOpen", "eyeBlinkLeft", "mouthSmileLeft"):
        found = 0
        for primitive in mesh["primitives"]:
            assert len(primitive["targets"]) == 52 and all(
                list(target) == ["POSITION"] for target in primitive["targets"]
            )
            number = primitive["targets"][INDEX[name]]["POSITION"]
            assert {"min", "max"} <= set(document["accessors"][number])
            found += np.abs(values(document, binary, number)).sum()
        assert found == pytest.approx(np.abs(face.shapes[INDEX[name]]).sum(), rel=1e-3)


def test_the_animation_has_the_weights_of_the_face(written, body, site):
    document, binary = written
    node, _ = face_of(document)
    animation = document["animations"][0]
    (channel,) = (channel for channel in animation["channels"] if channel["target"]["path"] == "weights")
    sampler = animation["samplers"][channel["sampler"]]
    assert channel["target"]["node"] == node and len(values(document, binary, sampler["input"])) == 70
    found = values(document, binary, sampler["output"]).reshape(70, 52)
    assert np.allclose(found, free_face(body, corpus="sample").weights(talking()), atol=1e-6)
    assert found[69, INDEX["jawOpen"]] == pytest.approx(1, abs=1e-4) and found.max(axis=0).astype(bool).sum() > 10
    assert document["accessors"][sampler["output"]]["count"] == 70 * 52


def test_the_figures_wooden_head_is_gone(written, tmp_path, body):
    document, binary = written
    write_motion(tmp_path / "without.glb", talking(), body, face=None)
    plain, plain_binary = read(tmp_path / "without.glb")
    rest = body.rest_joints(torch.zeros(300)).numpy()

    def top(document, binary) -> float:
        (primitive,) = document["meshes"][0]["primitives"]
        places = values(document, binary, primitive["attributes"]["POSITION"])
        return places[values(document, binary, primitive["indices"]).reshape(-1), 1].max()

    assert top(plain, plain_binary) > rest[23, 1] and len(plain["meshes"]) == 1
    assert top(document, binary) < rest[15, 1], "nothing of wood is above the neck"
    assert [node["name"] for node in plain["nodes"]][-1] == "figure"


def test_another_reader_takes_it(site, monkeypatch, tmp_path, body):
    from vtkmodules.vtkIOGeometry import vtkGLTFReader

    monkeypatch.syspath_prepend(site)
    write_motion(tmp_path / "a.glb", talking(), body, corpus="sample")
    reader, wrong = vtkGLTFReader(), []
    reader.AddObserver("ErrorEvent", lambda *_: wrong.append(True))
    reader.SetFileName(str(tmp_path / "a.glb"))
    reader.ApplyDeformationsToGeometryOn()
    reader.Update()
    found = reader.GetOutput()
    assert not wrong and found.GetNumberOfPoints() > 24000
    assert reader.GetNumberOfAnimations() == 1 and reader.GetAnimationDuration(0) == pytest.approx(69 / 30, abs=1e-3)
