"""Motion sent by VMC: bytes, bones, order, times, sound; a receiver on this machine decodes what the command sends."""

import re
import signal
import socket
import struct
import sys
import threading
from functools import partial
from types import ModuleType, SimpleNamespace
from typing import ClassVar

import numpy as np
import pytest
import soundfile
import torch
from conftest import run_command, run_program
from pythonosc.osc_bundle import OscBundle
from pythonosc.osc_message import OscMessage
from scipy.spatial.transform import Rotation
from tiny import voice

from semtalk.commands.live import _ended_by_control_c
from semtalk.errors import SemTalkError
from semtalk.face import face_map
from semtalk.face.names import ARKIT, INDEX
from semtalk.live.bones import BONES, JAW, Bones, alignment
from semtalk.live.process import Sender
from semtalk.live.sender import MARGIN, Address, Outbox, send_frames, send_speech
from semtalk.live.sound import Microphone, Player, open_player
from semtalk.live.speech import Encoder
from semtalk.live.vmc import LARGEST, bundled, encoded, face_values, frame_messages
from semtalk.motion.io import Motion
from semtalk.motion.rotation import matrix_to_axis_angle
from semtalk.motion.skeleton import NUM_JOINTS, PARENTS

SHAPE = np.zeros(300, np.float32)


def moving(frames: int = 8, seed: int = 0) -> Motion:
    rng = np.random.default_rng(seed)
    poses = np.cumsum(rng.normal(scale=0.1, size=(frames, NUM_JOINTS, 3)), axis=0).astype(np.float32)
    trans = rng.normal(size=(frames, 3)).astype(np.float32)
    return Motion(poses, np.zeros((frames, 100), np.float32), trans, SHAPE)


def messages_of(datagram: bytes) -> list[bytes]:
    """Messages of a datagram, which is one or a bundle."""
    if not OscBundle.dgram_is_bundle(datagram):
        return [datagram]
    found, at = [], 16
    while at < len(datagram):
        size = int.from_bytes(datagram[at : at + 4], "big")
        found.append(datagram[at + 4 : at + 4 + size])
        at += 4 + size
    return found


def decoded(message: bytes) -> tuple[str, str, list]:
    """Address, types and values, by another program's reader; types are read off the bytes."""
    read = OscMessage(message)
    types = message[message.index(b",") :].split(b"\0")[0].decode()
    return read.address, types, list(read.params)


def test_messages_are_those_bytes():
    assert encoded("/VMC/Ext/Blend/Val", "sf", "JawOpen", 0.5) == b"/VMC/Ext/Blend/Val\0\0,sf\0JawOpen\0\x3f\0\0\0"
    assert encoded("/VMC/Ext/OK", "i", 1) == b"/VMC/Ext/OK\0,i\0\0\0\0\0\x01"
    assert encoded("/VMC/Ext/Blend/Apply", "") == b"/VMC/Ext/Blend/Apply\0\0\0\0,\0\0\0"
    assert encoded("/VMC/Ext/T", "f", 2) == b"/VMC/Ext/T\0\0,f\0\0\x40\0\0\0"
    values = np.float32([0.5, -1, 2, 0, 0, 0, 1])
    bone = encoded("/VMC/Ext/Bone/Pos", "sfffffff", "Hips", *values)
    assert bone == b"/VMC/Ext/Bone/Pos\0\0\0,sfffffff\0\0\0Hips\0\0\0\0" + struct.pack(">7f", *values)
    (bundle,) = bundled([bone, bone])
    assert bundle == b"#bundle\0" + bytes(7) + b"\1" + 2 * (len(bone).to_bytes(4, "big") + bone)


def test_bundles_pass_a_network_and_keep_the_order():
    bones = [encoded("/VMC/Ext/Bone/Pos", "sfffffff", name, *np.zeros(7)) for name in BONES]
    assert {len(bone) for bone in bones} <= set(range(64, 85)) and 16 + sum(4 + len(bone) for bone in bones) == 4468
    datagrams = list(bundled(bones))
    assert len(datagrams) == 4 and max(map(len, datagrams)) <= LARGEST
    assert [message for one in datagrams for message in messages_of(one)] == bones
    assert list(bundled([])) == []


def test_bones_are_all_of_unitys_and_their_parents_are_the_joints():
    assert len(BONES) == len(set(BONES)) == NUM_JOINTS
    assert (BONES[9], BONES[16], BONES[20], BONES[31], BONES[37], BONES[54]) == (
        "UpperChest", "LeftUpperArm", "LeftHand", "LeftLittleProximal", "LeftThumbProximal", "RightThumbDistal",
    )  # fmt: skip
    assert BONES[PARENTS[BONES.index("LeftThumbProximal")]] == "LeftHand"
    assert BONES[PARENTS[BONES.index("RightShoulder")]] == "UpperChest"


def test_a_t_pose_is_sent_as_no_rotation(body):
    """Each bone is turned so that it points where that of a T pose does."""
    rest = body.rest_joints(torch.from_numpy(SHAPE)).double()
    world = alignment(rest).mT
    local = world.clone()
    local[1:] = world[list(PARENTS[1:])].mT @ world[1:]
    poses = matrix_to_axis_angle(local).float()
    poses[25:] -= body.hand_mean
    motion = moving(1)
    motion.poses[0] = poses.numpy()
    _, turns = Bones(body, SHAPE)(motion)
    angles = 2 * np.arccos(np.clip(np.abs(turns[0, :, 3]), 0, 1))
    assert angles.max() < 2e-3
    arm = body.joints(torch.from_numpy(motion.poses), torch.zeros(300))[0]
    along = arm[20] - arm[18]
    assert along[0] > 0.1 and along[1:].abs().max() < 1e-3, "the arm is stretched to the side"


def test_what_is_sent_moves_as_the_body_does_in_a_mirror(body):
    motion = moving()
    places, turns = Bones(body, SHAPE)(motion)
    joints = body.joints(torch.from_numpy(motion.poses), torch.zeros(300), torch.from_numpy(motion.trans)).numpy()
    for place, turn, joint in zip(places, turns, joints, strict=True):
        world, at = [], []
        for bone, parent in enumerate(PARENTS):
            own = Rotation.from_quat(turn[bone])
            world.append(own if parent < 0 else world[parent] * own)
            at.append(place[bone] if parent < 0 else at[parent] + world[parent].apply(place[bone]))
        assert np.abs(np.array(at) - joint * [-1, 1, 1]).max() < 1e-5
    assert np.allclose(np.linalg.norm(turns, axis=-1), 1)


def test_rotations_stay_on_one_side_from_piece_to_piece(body):
    motion = moving(60)
    motion.poses[:, 0] = np.linspace(0, 12, 60)[:, None] * [0, 1, 0]
    bones = Bones(body, SHAPE)
    turns = np.concatenate([bones(motion[:25])[1], bones(motion[25:25])[1], bones(motion[25:])[1]])
    assert len(turns) == 60 and ((turns[1:] * turns[:-1]).sum(axis=-1) > 0).all()


def test_hips_stand_at_the_height_of_the_figure_that_receives(body):
    motion = moving(1)
    own, other = Bones(body, SHAPE), Bones(body, SHAPE, 2.0)
    rest = body.rest_joints(torch.zeros(300)).numpy()
    scale = 2.0 / (rest[0, 1] - rest[:, 1].min())
    assert np.allclose(other(motion)[0][:, 0], scale * own(motion)[0][:, 0])
    assert np.allclose(other.offsets, own.offsets) and np.abs(own.offsets).max(axis=1).min() > 0, "never zeros"


def test_vowels_are_of_open_round_and_wide_mouths():
    def said(**weights):
        row = np.zeros(52)
        for name, value in weights.items():
            row[INDEX[name]] = value
        return {name: value for name, value in face_values(row, "vrm").items() if value}

    assert said(jawOpen=0.8) == {"A": 0.8}
    assert said(jawOpen=1, mouthFunnel=1) == {"O": 1} and said(mouthPucker=1) == {"U": 1}
    assert said(jawOpen=1, mouthSmileLeft=1, mouthSmileRight=1) == {"E": 1}
    assert said(mouthStretchLeft=1, mouthStretchRight=1, eyeBlinkLeft=1) == {"I": 0.7, "Blink_L": 1}
    row = np.linspace(0, 1, 52)
    arkit = face_values(row, "arkit")
    assert len(arkit) == 51 and arkit["JawOpen"] == row[17] and "TongueOut" not in arkit
    assert face_values(row, "none") == {}


class FakeClock:
    """Time that passes where somebody waits."""

    def __init__(self):
        self.seconds, self.waiting = 100.0, lambda seconds: None

    def now(self):
        return self.seconds

    def wait_until(self, seconds):
        self.waiting(seconds)
        self.seconds = seconds


def sent_by(outbox: Outbox, clock: FakeClock, begin=lambda seconds: None) -> list[tuple[float, bytes]]:
    sent = []
    send_frames(outbox, lambda datagram: sent.append((clock.seconds, datagram)), clock, begin)
    return sent


def test_each_frame_goes_at_its_time_and_the_sound_begins_with_the_first():
    outbox, clock, begun = Outbox(), FakeClock(), []
    outbox.fill([[b"%d" % frame, b"face"] for frame in range(200)])
    sent = sent_by(outbox, clock, lambda seconds: begun.append(clock.now() + seconds))
    assert [datagram for _, datagram in sent[::2]] == [b"%d" % frame for frame in range(200)]
    start = 100 + MARGIN
    assert begun == [pytest.approx(start)]
    assert [at for at, _ in sent[::2]] == pytest.approx([start + frame / 30 for frame in range(200)], abs=1e-9)


def test_a_frame_that_is_late_is_the_last_one_again_and_the_next_one_is_in_time():
    outbox, clock = Outbox(), FakeClock()
    outbox.put([b"0"])
    outbox.put([b"1"])
    start = 100 + MARGIN

    def made_meanwhile(seconds):
        if seconds > start + 3.5 / 30 and not outbox.ended:
            outbox.fill([[b"2"], [b"3"], [b"4"]])

    clock.waiting = made_meanwhile
    assert [datagram for _, datagram in sent_by(outbox, clock)] == [b"0", b"1", b"1", b"1", b"4"]
    assert outbox.late == 2


def test_where_no_sound_is_to_be_kept_step_with_a_frame_that_is_late_is_waited_for():
    outbox, clock, start = Outbox(), FakeClock(), 100 + MARGIN
    outbox.put([b"0"])
    outbox.put([b"1"])

    def made_meanwhile(seconds):
        if seconds > start + 3.5 / 30 and not outbox.ended:
            outbox.fill([[b"2"], [b"3"]])

    clock.waiting, sent = made_meanwhile, []
    count = send_frames(outbox, lambda datagram: sent.append((clock.seconds, datagram)), clock, waits=True)
    assert [datagram for _, datagram in sent] == [b"0", b"1", b"1", b"1", b"2", b"3"] and count == 6
    assert [at for at, _ in sent] == pytest.approx([start + number / 30 for number in range(6)], abs=1e-9)


def test_what_goes_wrong_with_frames_is_told_where_they_are_sent():
    def frames():
        yield [b"0"]
        raise SemTalkError("bad sound")

    with pytest.raises(SemTalkError, match="bad sound"):
        send_speech(frames(), lambda datagram: None, None, FakeClock())


def test_no_more_frames_are_made_than_will_be_sent():
    made, clock = [], FakeClock()

    def frames():
        for frame in range(10_000):
            made.append(frame)
            yield [b"x"]

    def fails(datagram):
        raise SemTalkError("no way there")

    with pytest.raises(SemTalkError, match="no way there"):
        send_speech(frames(), fails, None, clock)
    assert len(made) < 400 and threading.active_count() < 20


class FakeStream:
    """A sound card that asks for a block when it is told to."""

    def __init__(self, samplerate, channels, dtype, callback):
        assert (samplerate, channels, dtype) == (16000, 1, "float32")
        self.callback, self.time, self.is_open = callback, 5.0, True

    def start(self):
        self.time += 0.01

    def close(self):
        self.is_open = False

    def block(self, at: float, count: int) -> np.ndarray:
        out = np.full((count, 1), 9, np.float32)
        self.callback(out, count, SimpleNamespace(outputBufferDacTime=at), None)
        return out[:, 0]


@pytest.fixture
def sound_card(monkeypatch):
    module = ModuleType("sounddevice")
    module.OutputStream = FakeStream
    monkeypatch.setitem(sys.modules, "sounddevice", module)


def test_the_sound_begins_at_its_sample_and_goes_on_by_the_cards_own_clock(sound_card):
    wave = np.arange(1, 3201, dtype=np.float32) / 3200
    player = open_player(wave, "auto")
    assert not player.stream.block(4.9, 64).any()
    player.start(0.1)
    blocks = [player.stream.block(5.05, 800)] + [player.stream.block(5.1 + 0.07 * k, 1024) for k in range(4)]
    heard = np.concatenate(blocks)
    first = round((5.01 + 0.1 - 5.05) * 16000)
    assert not heard[:first].any() and np.array_equal(heard[first : first + 3200], wave)
    assert not heard[first + 3200 :].any()
    player.close()
    assert not player.stream.is_open


class FakeMicrophone:
    """A sound card that hears a voice of so many seconds, and ends."""

    def __init__(self, seconds, samplerate, channels, dtype, blocksize, callback, finished_callback):
        assert (samplerate, channels, dtype) == (16000, 1, "float32")
        self.wave, self.size, self.is_open = voice(seconds).astype(np.float32), blocksize, True
        self.callback, self.over = callback, finished_callback

    def start(self):
        block = np.zeros((self.size, 1), np.float32)  # one for all, as a sound card has
        for first in range(0, len(self.wave), self.size):
            piece = self.wave[first : first + self.size]
            block[: len(piece), 0] = piece
            self.callback(block[: len(piece)], len(piece), None, None)
        self.over()

    def close(self):
        self.is_open = False


@pytest.fixture
def microphone(monkeypatch):
    module = ModuleType("sounddevice")
    module.InputStream = partial(FakeMicrophone, 2.5)
    monkeypatch.setitem(sys.modules, "sounddevice", module)


def test_a_microphone_is_heard_in_pieces_until_it_ends(microphone):
    heard = Microphone()
    assert np.array_equal(np.concatenate(list(heard)), voice(2.5).astype(np.float32))
    heard.close()
    assert not heard.stream.is_open


def test_a_microphone_that_cannot_be_heard_is_told(monkeypatch):
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    with pytest.raises(SemTalkError, match=r"audio=microphone: it cannot be heard.*pip install.*audio=FILE.wav"):
        Microphone()


def test_without_a_run_nothing_is_heard_or_sent(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    monkeypatch.setattr("semtalk.live.process.Sender", None)
    soundfile.write(tmp_path / "voice.wav", voice(3.0), 16000)
    for sound in ("microphone", f"'{tmp_path}/voice.wav'"):
        said = run_command("scripts/live.py", f"audio={sound}", f"runs_dir={tmp_path}", check=False).stderr
        assert "stage=semtalk" in said and "sounddevice" not in said


def test_the_first_control_c_ends_what_is_heard_and_the_second_the_program():
    ended = []
    around = signal.signal(signal.SIGINT, signal.default_int_handler)  # one that is begun in the background ignores it
    try:
        with _ended_by_control_c(lambda: ended.append(True)):
            signal.raise_signal(signal.SIGINT)
            assert ended == [True]
            with pytest.raises(KeyboardInterrupt):
                signal.raise_signal(signal.SIGINT)
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, around)


def test_sound_that_cannot_be_played_is_told(monkeypatch):
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    with pytest.raises(SemTalkError, match=r"sound cannot be played.*pip install.*play=false"):
        open_player(np.zeros(10), True)
    assert open_player(np.zeros(10), "auto") is None and open_player(np.zeros(10), False) is None
    with pytest.raises(SemTalkError, match="sound cannot be played"):
        Player(np.zeros(10))


@pytest.mark.parametrize(("kind", "jaw", "bundle"), [("arkit", False, True), ("vrm", True, False)])
def test_an_encoder_gives_each_frame_its_datagrams(body, kind, jaw, bundle):
    encoder = Encoder(Bones(body, SHAPE), face_map(body), kind, jaw, bundle)
    motion = moving(3)
    motion.poses[:, 22] = 0.1975, 0, 0
    frames = [*encoder(motion[:1]), *encoder(motion[:0]), *encoder(motion[1:])]
    for index, datagrams in enumerate(frames):
        assert bundle or len(datagrams) == 3 + 55 + 7 + 1
        found = [decoded(message) for one in datagrams for message in messages_of(one)]
        assert found[1] == ("/VMC/Ext/T", ",f", [pytest.approx(index / 30)])
        names = [values[0] for address, _, values in found if address.endswith("Bone/Pos")]
        assert names == [name for joint, name in enumerate(BONES) if jaw or joint != JAW]
        face = {values[0]: values[1] for address, _, values in found if address.endswith("Blend/Val")}
        assert face["JawOpen" if kind == "arkit" else "A"] == pytest.approx(0.5)
    assert len(frames) == 3


class InThisProcess:
    """A sender whose time does not pass while frames are made."""

    def __init__(self, target, wave, play):
        self.address, self.plays = Address(target), play
        assert len(wave) == 40000

    def send(self, frames):
        return send_speech(frames, self.address.send, None, FakeClock())

    def end(self):
        self.address.close()


class Listener:
    """A sender in this process that keeps what it is to send."""

    frames: ClassVar[list[list[bytes]]] = []

    def __init__(self, target, wave, play):
        self.plays = False

    def send(self, frames):
        self.frames[:] = frames
        return len(self.frames), 0

    def end(self):
        pass


def test_what_a_microphone_hears_moves_as_a_recording_of_it_does(smoke, tmp_path, monkeypatch, microphone):
    monkeypatch.setattr("semtalk.live.process.Sender", Listener)
    soundfile.write(tmp_path / "microphone.wav", voice(2.5), 16000, subtype="FLOAT")  # numbers are drawn by the name
    sent = []
    for words in (["audio=microphone"], [f"audio={tmp_path}/microphone.wav", "play=false"]):
        printed = run_command("scripts/live.py", *smoke[1], *words).stdout
        assert "75 frames were sent" in printed
        sent.append([*Listener.frames])
    assert sent[0] == sent[1] and len(sent[0]) == 75
    said = run_command("scripts/live.py", *smoke[1], "audio=microphone", "transcript=x.srt", check=False).stderr
    assert said.strip().endswith("transcript is for a recording, and audio=microphone is none.")


def received_from(receiver: socket.socket, said: list) -> None:
    """Take datagrams until one that says that it is over."""
    while (datagram := receiver.recv(65536)) != b"over":
        said.append(datagram)


def test_a_receiver_gets_every_frame_of_a_voice_in_order(smoke, tmp_path, monkeypatch):
    soundfile.write(tmp_path / "a.wav", voice(2.5), 16000)
    take = Outbox.take

    def patient(outbox, index):  # time stands still until the frame is made
        with outbox.changed:
            outbox.changed.wait_for(lambda: outbox.made > index or outbox.ended)
        return take(outbox, index)

    monkeypatch.setattr(Outbox, "take", patient)
    monkeypatch.setattr("semtalk.live.process.Sender", InThisProcess)
    receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    receiver.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
    receiver.bind(("127.0.0.1", 0))
    place, said = receiver.getsockname(), []
    listener = threading.Thread(target=received_from, args=(receiver, said))
    listener.start()
    try:
        words = [f"audio={tmp_path}/a.wav", f"target=127.0.0.1:{place[1]}", "play=false"]
        printed = run_command("scripts/live.py", *smoke[1], *words).stdout
    finally:
        receiver.sendto(b"over", place)
        listener.join()
        receiver.close()
    assert re.search(r"75 frames were sent, \d+ of which came too late", printed) and "weights: lips, brows" in printed
    assert max(map(len, said)) <= LARGEST
    found = [decoded(message) for one in said for message in messages_of(one)]
    size = 3 + 54 + 51 + 1
    assert len(found) == 75 * size
    for index in range(75):
        ok, time, root, *rest = found[index * size : (index + 1) * size]
        assert ok == ("/VMC/Ext/OK", ",i", [1])
        assert time == ("/VMC/Ext/T", ",f", [pytest.approx(index / 30, abs=1e-5)])
        assert root == ("/VMC/Ext/Root/Pos", ",sfffffff", ["root", 0, 0, 0, 0, 0, 0, 1])
        assert [values[0] for _, _, values in rest[:54]] == [name for name in BONES if name != "Jaw"]
        for address, types, values in rest[:54]:
            assert (address, types) == ("/VMC/Ext/Bone/Pos", ",sfffffff")
            assert np.linalg.norm(values[4:]) == pytest.approx(1, abs=1e-5)
        assert {(address, types) for address, types, _ in rest[54:-1]} == {("/VMC/Ext/Blend/Val", ",sf")}
        assert {values[0][0].lower() + values[0][1:] for _, _, values in rest[54:-1]} == {*ARKIT} - {"tongueOut"}
        assert all(0 <= values[1] <= 1 for _, _, values in rest[54:-1])
        assert rest[-1] == ("/VMC/Ext/Blend/Apply", ",", [])


def test_a_process_of_its_own_sends_what_it_is_fed():
    receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    receiver.bind(("127.0.0.1", 0))
    place, said = receiver.getsockname(), []
    sender = Sender(f"127.0.0.1:{place[1]}", np.zeros(16), False)
    sent, late = sender.send([b"%d" % frame, b"face"] for frame in range(10))
    sender.end()
    receiver.sendto(b"over", place)
    received_from(receiver, said)
    receiver.close()
    assert sent == 10 and not sender.plays and len(said) == 20 and said[-2:] == [b"9", b"face"]
    assert sorted(set(said[::2])) == said[::2] or late, "in order"


@pytest.mark.parametrize(
    ("target", "play", "says"), [("127.0.0.1:0", False, "no such port"), ("127.0.0.1:9", True, "play=false")]
)
def test_what_that_process_cannot_do_is_told_here(target, play, says, monkeypatch, tmp_path):
    (tmp_path / "sounddevice.py").write_text("raise OSError('no library')")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(SemTalkError, match=says):
        Sender(target, np.zeros(16), play)


def test_that_process_ends_where_nothing_more_comes():
    def frames():
        yield [b"0"]
        raise SemTalkError("bad sound")

    sender = Sender("127.0.0.1:39539", np.zeros(16), False)
    with pytest.raises(SemTalkError, match="bad sound"):
        sender.send(frames())
    sender.end()
    assert sender.process.returncode is not None


def test_without_python_osc_one_sentence_says_what_brings_it(smoke, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pythonosc", None)
    said = run_command("scripts/live.py", *smoke[1], "audio=a.wav", check=False)
    assert said.returncode == 1 and "python-osc" in said.stderr and "pip install" in said.stderr


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ([], "audio is not set"),
        (["audio=none.wav"], "none.wav"),
        (["audio=a.wav", "target=here"], "target=here: give HOST:PORT"),
        (["audio=a.wav", "target=127.0.0.1:0"], "there is no such port; give HOST:PORT"),
        (["audio=a.wav", "play=loud"], "play=loud"),
    ],
)
def test_bad_input_is_one_sentence(tmp_path, monkeypatch, words, says):
    soundfile.write(tmp_path / "a.wav", voice(0.5), 16000)
    monkeypatch.chdir(tmp_path)
    said = run_command("scripts/live.py", *words, check=False)
    assert said.returncode == 1 and says in said.stderr and "\n" not in said.stderr.strip()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["audio={}/none.wav"], "none.wav: no such sound file"),
        (["audio={}/a.wav", "arkit_matrix={}/none.npy"], "none.npy: no such file"),
        (["audio={}/a.wav", "target=127.0.0.1:0"], "there is no such port"),
    ],
)
def test_bad_input_is_told_before_torch(tmp_path, words, says):
    soundfile.write(tmp_path / "a.wav", voice(0.5), 16000)
    words = [word.format(tmp_path) for word in words]
    said = run_program("-X", "importtime", "scripts/live.py", *words, check=False)
    modules = set(re.findall(r"\|\s*([\w.]+)$", said.stderr, re.M))
    assert said.returncode == 1 and says in said.stderr
    assert "semtalk.live.process" in modules and "torch" not in modules


def test_nobody_that_listens_is_no_error():
    free = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    free.bind(("127.0.0.1", 0))
    port = free.getsockname()[1]
    free.close()
    address = Address(f"127.0.0.1:{port}")
    for _ in range(3):
        address.send(b"nothing")
    address.close()


def test_a_frame_begins_with_ok_and_ends_with_apply_also_without_a_face():
    messages = list(frame_messages(0, np.zeros((55, 3)), np.tile([0, 0, 0, 1.0], (55, 1)), {}))
    assert decoded(messages[0])[0] == "/VMC/Ext/OK" and decoded(messages[-1])[0] == "/VMC/Ext/Blend/Apply"
