"""Published models: the same motion from safetensors and json, what is refused, and a hub that is not always there."""

import json
import pickle
import re
import shutil

import numpy as np
import pytest
import torch
import yaml
from conftest import run_command
from hub import Hub, Leaving, serving
from safetensors.torch import load_file, save_file
from tiny import voice

from semtalk import SemTalk, SemTalkError
from semtalk.catalogue import is_repository
from semtalk.evaluation.alignment import Scorer
from semtalk.files import read_json
from semtalk.motion.io import load_motion
from semtalk.needs import needs_of, opened
from semtalk.places import checkpoint_path
from semtalk.settings import compose
from semtalk.settings.commands import CHAIN, PHASE_NAMES
from semtalk.tasks.checkpoint import load_checkpoint, read_stamp, share_checkpoints
from semtalk.tasks.phases import build_network
from semtalk.tasks.stamp import digest, new_stamp

LICENCE = "CC-BY-4.0, by whoever recorded it"
CARD = "The weights were made from data under this licence"


@pytest.fixture(scope="module")
def run(smoke):
    """Folder of a run that was evaluated."""
    folder = smoke[0] / "runs" / "smoke"
    run_command("eval.py", *smoke[1], "video=false")
    return folder


@pytest.fixture(scope="module")
def model(run):
    return SemTalk.from_pretrained(run)


@pytest.fixture(scope="module")
def saved(model, tmp_path_factory):
    """Folder that the model was saved to; tests that change it copy it."""
    return model.save_pretrained(tmp_path_factory.mktemp("saved") / "voice", data_licence=LICENCE)


@pytest.fixture
def copied(saved, tmp_path):
    return shutil.copytree(saved, tmp_path / "copy")


@pytest.fixture
def hub(tmp_path, monkeypatch):
    with serving(Hub(token="secret")) as served:
        served.use(monkeypatch, tmp_path / "cache")
        yield served


def assert_same_motion(one: SemTalk, other: SemTalk) -> None:
    first, second = (model(voice(3.0), [("hello", 0.2, 0.6)]) for model in (one, other))
    for name in ("poses", "expressions", "trans", "betas"):
        assert np.array_equal(getattr(first.motion, name), getattr(second.motion, name)), name
    assert np.array_equal(first.psi, second.psi)


def changed(folder, change) -> None:
    """Change what config.json says."""
    content = read_json(folder / "config.json")
    change(content)
    (folder / "config.json").write_text(json.dumps(content))


def test_a_saved_model_gives_the_motion_of_its_run_and_is_json_and_safetensors_alone(model, saved):
    names = {path.name for path in saved.rglob("*")}
    assert names == {"config.json", "README.md", *(f"{phase}.safetensors" for phase in CHAIN)}
    again = SemTalk.from_pretrained(saved)
    assert again.speakers == model.speakers
    assert_same_motion(model, again)


def test_a_saved_model_is_saved_again_as_it_is(saved, tmp_path):
    again = SemTalk.from_pretrained(str(saved)).save_pretrained(tmp_path / "voice")
    for path in saved.iterdir():
        assert (again / path.name).read_bytes() == path.read_bytes(), path.name


def test_the_card_says_what_the_run_is(saved, run):
    text = (saved / "README.md").read_text()
    head = yaml.safe_load(text.split("---")[1])
    assert head["library_name"] == "semtalk" and head["license_name"] == "cc-by-4.0-by-whoever-recorded-it"
    measured = read_json(run / "eval" / "test" / "metrics.json")
    assert f"Protocol `legacy`, test split, {measured['takes']} takes" in text
    assert "Measured with a stand-in body" in text and "do not compare them with published tables" in text
    rows = [line for line in text.splitlines() if line.startswith("| SemTalk |")]
    assert rows and rows[0] in (run / "eval" / "test" / "metrics.md").read_text()
    assert f"corpus: {measured['config']['data']['name']}" in text and f"licence of the data: {LICENCE}" in text
    assert 'SemTalk.from_pretrained("voice")' in text and "ckpt=voice" in text
    assert "no sign of what somebody felt" in text and "Not ready to be published" not in text


def test_nothing_of_the_machine_is_published(saved, run):
    trained = load_checkpoint(checkpoint_path(run, "fgd"), "fgd")["semtalk"]["config"]["runs_dir"]
    assert f"trained by {trained}/smoke" in (run / "eval" / "test" / "metrics.md").read_text()
    for text in ((saved / name).read_text() for name in ("config.json", "README.md")):
        assert trained not in text and str(run.parent) not in text and "trained by smoke" in text


def test_a_model_is_sent_and_fetched_again(model, hub, monkeypatch, tmp_path):
    address = model.push_to_hub("org/voice", data_licence=LICENCE)
    assert re.fullmatch(rf"{hub.url}/org/voice/commit/[0-9a-f]{{40}}", address)
    assert_same_motion(model, SemTalk.from_pretrained("org/voice"))
    fetched = {name for _, path, _ in hub.requests if "/resolve/" in path for name in [path.rpartition("/")[2]]}
    assert fetched == {"config.json", "README.md", *(f"{phase}.safetensors" for phase in CHAIN)}

    before = len(hub.requests)
    SemTalk.from_pretrained("org/voice")
    assert not [one for one in hub.requests[before:] if "/resolve/" in one.path], "what is there is not fetched again"

    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    assert_same_motion(model, SemTalk.from_pretrained("org/voice"))


def test_what_was_fetched_serves_without_the_hub(saved, tmp_path, monkeypatch):
    with serving(Hub()) as hub:
        hub.use(monkeypatch, tmp_path / "cache")
        hub.put("org/voice", saved)
        fetched = SemTalk.from_pretrained("org/voice")
    assert SemTalk.from_pretrained("org/voice").folder == fetched.folder
    for name, revision in (("org/other", None), ("org/voice", "v9")):
        with pytest.raises(SemTalkError, match=f"{name}: no such folder here; the hub cannot be reached"):
            SemTalk.from_pretrained(name, revision=revision)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(SemTalkError, match="org/other: no such folder here; the hub cannot be reached"):
        SemTalk.from_pretrained("org/other")


def test_a_download_that_breaks_off_is_one_sentence_and_done_by_the_next_call(model, saved, hub, tmp_path, monkeypatch):
    hub.put("org/voice", saved)
    files, weights = hub.repos["org/voice"]["main"], "base.safetensors"
    monkeypatch.setattr(hub, "break_off", Leaving(hub, "org/voice", {weights: 60_000}))
    monkeypatch.setattr("huggingface_hub.constants.DOWNLOAD_CHUNK_SIZE", 1000)
    with pytest.raises(SemTalkError, match="org/voice: the hub did not do it .*what is done stays"):
        SemTalk.from_pretrained("org/voice")
    hub.repos["org/voice"]["main"] = files
    assert_same_motion(model, SemTalk.from_pretrained("org/voice"))


def test_a_revision_is_what_it_was(model, saved, hub, tmp_path):
    model.push_to_hub("org/voice", data_licence=LICENCE, revision="first")
    model.push_to_hub("org/voice", data_licence="another licence", message="said otherwise", private=True)
    cards = {
        name: (SemTalk.from_pretrained("org/voice", revision=name).folder / "README.md").read_text()
        for name in ("first", "main")
    }
    assert LICENCE in cards["first"] and "another licence" in cards["main"]
    with pytest.raises(SemTalkError, match="org/voice: it has no revision 'second'"):
        SemTalk.from_pretrained("org/voice", revision="second")
    with pytest.raises(SemTalkError, match="revision=first is for a model of the hub, and this is a folder here"):
        SemTalk.from_pretrained(saved, revision="first")


def test_files_that_a_new_version_lacks_are_taken_away(model, hub):
    hub.repos["org/voice"] = {"main": {"vocab.json": b"[]", "notes.txt": b"mine"}}
    model.push_to_hub("org/voice", data_licence=LICENCE)
    assert "vocab.json" not in hub.repos["org/voice"]["main"] and "notes.txt" in hub.repos["org/voice"]["main"]


def test_a_wrong_name_is_one_sentence(hub, tmp_path, monkeypatch):
    hub.repos["org/other"] = {"main": {"model.onnx": b"0", "README.md": b"# other"}}
    for name, says in (
        ("org/nothing", "org/nothing: no such folder here, and no such model on the hub"),
        ("org/other", "org/other: no published SemTalk model; it has no config.json"),
        ("or--g/..", "or--g/../base/best.ckpt: there is no checkpoint"),
    ):
        with pytest.raises(SemTalkError, match=says) as error:
            SemTalk.from_pretrained(name)
        assert "\n" not in str(error.value)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs").mkdir()
    asked = len(hub.requests)
    with pytest.raises(SemTalkError, match="runs/typo/base/best.ckpt: there is no checkpoint"):
        SemTalk.from_pretrained("runs/typo")
    assert len(hub.requests) == asked, "a path of this machine is no name of the hub"
    assert is_repository("runs/typo", revision="main")


def test_publishing_needs_a_token_that_may(model, hub, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "wrong")
    with pytest.raises(SemTalkError, match="org/voice: the hub does not let you write there; .*hf auth login"):
        model.push_to_hub("org/voice", data_licence=LICENCE)


def without(*keys):
    def change(folder):
        path = folder / "eval" / "test" / "metrics.json"
        content = read_json(path)
        path.write_text(json.dumps({key: value for key, value in content.items() if key not in keys}))

    return change


def trained_on(folder):
    path = folder / "sparse" / "best.ckpt"
    checkpoint = torch.load(path, weights_only=True)
    next(value for value in checkpoint["state_dict"].values() if value.is_floating_point()).add_(1e-3)
    torch.save(checkpoint, path)


def measured_before(folder):
    path = folder / "eval" / "test" / "metrics.json"
    content = read_json(path)
    content["weights"].pop("sparse")
    path.write_text(json.dumps(content))


def unfinished(folder):
    path = folder / "sparse" / "best.ckpt"
    checkpoint = torch.load(path, weights_only=True)
    checkpoint["semtalk"]["finished"] = False
    torch.save(checkpoint, path)


@pytest.mark.parametrize(
    ("change", "licence", "says"),
    [
        (lambda folder: None, None, r"the licence of its data \(give data_licence=TEXT, or data.licence=TEXT"),
        (lambda folder: shutil.rmtree(folder / "eval"), LICENCE, r"metrics and their protocol \(.*eval ckpt=.*run`\)"),
        (without("metrics"), LICENCE, r"metrics in .*metrics.json \(run `.*eval ckpt="),
        (without("protocol"), LICENCE, r"protocol in .*metrics.json \(run `.*eval ckpt="),
        (trained_on, LICENCE, r"metrics of what is trained now \(.*measured another 'sparse'"),
        (measured_before, LICENCE, r"metrics of what is trained now \(.*measured another 'sparse'"),
        (unfinished, LICENCE, "the end of the training of 'sparse'"),
    ],
)
def test_publishing_is_refused_without_what_others_need_to_know(run, hub, tmp_path, monkeypatch, change, licence, says):
    own = shutil.copytree(run, tmp_path / "run")
    for phase in CHAIN:  # said nothing of its data
        checkpoint = torch.load(own / phase / "best.ckpt", weights_only=True)
        checkpoint["semtalk"]["meta"].pop("licence", None)
        torch.save(checkpoint, own / phase / "best.ckpt")
    change(own)
    monkeypatch.chdir(tmp_path)
    model = SemTalk.from_pretrained(own)
    with pytest.raises(SemTalkError, match=f"run is not published: it lacks {says}") as error:
        model.push_to_hub("org/voice", data_licence=licence)
    assert "\n" not in str(error.value) and not hub.requests and not hub.repos
    card = model.save_pretrained(tmp_path / "saved", data_licence=licence) / "README.md"
    assert re.search(f"Not ready to be published.*{says}", card.read_text())


def test_the_run_says_the_licence_of_its_data(run, tmp_path, hub):
    own = shutil.copytree(run, tmp_path / "run")
    for phase in ("base", "sparse"):
        checkpoint = torch.load(own / phase / "best.ckpt", weights_only=True)
        checkpoint["semtalk"]["meta"]["licence"] = "of the run"
        torch.save(checkpoint, own / phase / "best.ckpt")
    SemTalk.from_pretrained(own).push_to_hub("org/voice")
    assert f"{CARD}, whose terms go with them: of the run." in hub.repos["org/voice"]["main"]["README.md"].decode()


def test_a_scorer_that_was_trained_after_the_evaluation_goes_with_the_run(run, tmp_path, hub):
    own = shutil.copytree(run, tmp_path / "run")
    stamp = read_stamp(own, "base")
    weights = build_network("alignment", stamp.settings, 1).state_dict()
    checkpoint = {"state_dict": {f"network.{name}": value for name, value in weights.items()}}
    new_stamp("alignment", stamp.config, stamp.facts).write(checkpoint)
    (own / "alignment").mkdir()
    torch.save(checkpoint, own / "alignment" / "best.ckpt")
    SemTalk.from_pretrained(own).push_to_hub("org/voice", data_licence=LICENCE)
    saved = SemTalk.from_pretrained(own).save_pretrained(tmp_path / "saved")
    assert {f"{phase}.safetensors" for phase in PHASE_NAMES} <= set(hub.repos["org/voice"]["main"])
    assert digest(Scorer.load(saved, 2).network.state_dict()) == digest(weights)


def test_networks_that_were_changed_in_memory_are_not_taken_for_the_run(run, tmp_path):
    model = SemTalk.from_pretrained(run, precision="bf16")
    model.save_pretrained(tmp_path / "half")
    full = load_file(tmp_path / "half" / "base.safetensors")
    assert {value.dtype for value in full.values() if value.is_floating_point()} == {torch.float32}
    next(model.generator.sparse.parameters()).data.add_(1.0)
    with pytest.raises(SemTalkError, match="its 'sparse' is another now than the one that was loaded"):
        model.save_pretrained(tmp_path / "changed")
    with pytest.raises(SemTalkError, match="the folder of a run; give a folder of its own"):
        SemTalk.from_pretrained(run).save_pretrained(run)


class Boom:
    def __reduce__(self):
        return (print, ("boom",))


def slot(name, key, value):
    def change(content):
        for network in filter(None, content["networks"].values()):
            network["config"]["features"]["slots"][name][key] = value

    return lambda folder: changed(folder, change)


def base(*path, value):
    def change(content):
        inner = content["networks"]["base"]
        for key in path[:-1]:
            inner = inner[key]
        inner[path[-1]] = value

    return lambda folder: changed(folder, change)


def cut(name, size):
    return lambda folder: (folder / name).write_bytes((folder / name).read_bytes()[:size])


def write(name, content):
    return lambda folder: (folder / name).write_bytes(content)


def wide(folder):
    base("config", "model", "network", "width", value=65536)(folder)


def other_type(folder):
    tensors = load_file(folder / "base.safetensors")
    save_file({name: value.double() for name, value in tensors.items()}, folder / "base.safetensors")


def not_finite(folder):
    tensors = load_file(folder / "base.safetensors")
    next(value for value in tensors.values() if value.is_floating_point()).view(-1)[-1] = torch.nan
    save_file(tensors, folder / "base.safetensors")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (not_finite, r"base.safetensors: its \S+ holds NaN or infinite numbers"),
        (cut("base.safetensors", 5), "base.safetensors: not readable as safetensors, or cut short"),
        (cut("base.safetensors", 100_000), "base.safetensors: not readable as safetensors, or cut short"),
        (write("base.safetensors", pickle.dumps(Boom())), "base.safetensors: not readable as safetensors"),
        (write("base.safetensors", b"\xff" * 64), "base.safetensors: not readable as safetensors"),
        (lambda folder: (folder / "base.safetensors").unlink(), "there is no checkpoint of 'base' here"),
        (other_type, "its weights do not fit the configuration beside them .*float64"),
        (write("config.json", b"[" * 100_000), "config.json: not readable as json"),
        (write("config.json", b"\x80\x04"), "config.json: not readable as json"),
        (write("config.json", b'{"library": "semtalk", "x": "' + b"x" * 2**23 + b'"}'), r"config.json: \d+ bytes"),
        (write("vocab.json", b" " * (2**23 + 1)), r"vocab.json: \d+ bytes"),
        (write("config.json", b'{"model_type": "bert"}'), "config.json: not of a published SemTalk model"),
        (write("config.json", b'{"library": "semtalk", "format": 2}'), "written by a newer version; update semtalk"),
        (write("config.json", b'{"library": "semtalk", "format": 1}'), "networks: the key is missing"),
        (base("config", "model", "network", "width", value=10**12), "model.network.width=1000000000000: give a whole"),
        (wide, "base.safetensors: its weights do not fit the configuration beside them"),
        (base("facts", "speakers", value=list(range(90_000))), "its weights do not fit the configuration beside them"),
        (base("facts", "speakers", value=[True]), "networks.base.facts.speakers"),
        (base("facts", "speakers", value=["a\n# b"]), "networks.base.facts.speakers"),
        (base("facts", "mean_joint_speed", value=[1e999] * 55), "networks.base.facts.mean_joint_speed"),
        (base("beside", value={"base": "../../x"}), "networks.base.beside"),
        (base("version", value="1\n\n2"), "networks.base.version"),
        (slot("words", "path", "\x1b[2J" + "x" * 10**6), r"features.slots.words.path=\?\[2Jx{200,300}\.\.\.$"),
        (slot("words", "path", "/etc/passwd"), "features.slots.words.path=/etc/passwd: a published model names"),
        (slot("words", "path", "run:../../secret.json"), "features.slots.words.path=run:../../secret.json"),
        (slot("words", "path", "given:../secret"), "features.slots.words.path=given:../secret"),
        (slot("hubert", "model", "../evil"), "features.slots.hubert.model=../evil"),
        (slot("hubert", "model", "org/../evil"), "features.slots.hubert.model=org/../evil"),
        (slot("hubert", "encoder", "evil:Encoder"), "would run code of the package evil"),
        (base("config", "model", "base", "network", value="evil:Network"), "would run code of the package evil"),
        (
            write("evil.py", b"raise SystemExit('boom')"),
            "it holds evil.py, and a published model is safetensors and json",
        ),
        (write("weights.PKL", pickle.dumps(Boom())), "it holds weights.PKL"),
    ],
)
def test_a_damaged_or_hostile_model_is_one_sentence_and_nothing_of_it_is_run(copied, capsys, change, says):
    change(copied)
    with pytest.raises(SemTalkError, match=says) as error:
        SemTalk.from_pretrained(copied)
    assert str(copied) in str(error.value) and str(error.value).isprintable() and len(str(error.value)) < 600
    assert "boom" not in capsys.readouterr().out


def test_a_hostile_repository_is_refused_before_anything_of_it_is_fetched(saved, hub):
    for extra in ("evil.py", "deep/weights.pkl", "base/best.ckpt"):
        hub.put("org/voice", saved)
        hub.repos["org/voice"]["main"][extra] = b"import os"
        hub.requests.clear()
        with pytest.raises(SemTalkError, match=f"org/voice: it holds {extra}"):
            SemTalk.from_pretrained("org/voice")
        assert not [one for one in hub.requests if "/resolve/" in one.path]


@pytest.mark.parametrize("path", ["../../../evil.safetensors", "/tmp/evil.json", "deep/config.json", "notes.json"])
def test_files_of_other_names_are_not_fetched(saved, hub, tmp_path, path):
    hub.put("org/voice", saved)
    hub.repos["org/voice"]["main"][path] = b"{}"
    SemTalk.from_pretrained("org/voice")
    assert not [one for one in hub.requests if "/resolve/" in one.path and path in one.path]
    assert not list(tmp_path.rglob("evil*"))


def test_the_commands_take_a_published_model(saved, run, smoke, hub, tmp_path):
    hub.put("org/voice", saved)
    generate = ["audio=examples/spoken.flac", "transcript=none", "video=false"]
    run_command("generate.py", *smoke[1], *generate, f"out={tmp_path}/run")
    wanted = load_motion(tmp_path / "run" / "spoken.npz")
    for ckpt, out in ((str(saved), saved), ("org/voice", smoke[0] / "runs" / "org" / "voice")):
        run_command(
            "generate.py", *smoke[1], *generate, f"ckpt={ckpt}", "revision=main" * (ckpt == "org/voice") or "seed=0"
        )
        found = load_motion(out / "generated" / "spoken.npz")
        assert np.array_equal(found.poses, wanted.poses) and np.array_equal(found.trans, wanted.trans)
    shutil.rmtree(saved / "generated")
    run_command("eval.py", *smoke[1], "ckpt=org/voice", "video=false")
    ours, theirs = (
        read_json(folder / "eval" / "test" / "metrics.json") for folder in (run, smoke[0] / "runs" / "org" / "voice")
    )
    assert ours["metrics"] == theirs["metrics"] and ours["weights"] == theirs["weights"]
    assert theirs["run"].endswith("runs/org/voice")


def test_a_training_takes_over_the_networks_of_a_published_model(saved, tmp_path):
    asked = compose("train", f"embedder={saved}")
    assert {need.purpose: need.here for need in needs_of(asked, opened(asked.data))}["embedder"]
    for _ in range(2):  # the second time they are there
        share_checkpoints(saved, tmp_path / "run", ["fgd", "rvqvae_face"], "embedder")
    for phase in ("fgd", "rvqvae_face"):
        one, other = (load_checkpoint(checkpoint_path(folder, phase), phase) for folder in (saved, tmp_path / "run"))
        assert all(torch.equal(value, other["state_dict"][name]) for name, value in one["state_dict"].items())
        assert one["semtalk"] == other["semtalk"]
    other["state_dict"]["network.mean"] = other["state_dict"]["network.mean"] + 1
    torch.save(other, tmp_path / "run" / "rvqvae_face" / "best.ckpt")
    with pytest.raises(SemTalkError, match="has a 'rvqvae_face' of its own"):
        share_checkpoints(saved, tmp_path / "run", ["rvqvae_face"], "tokenizer")


def test_the_word_list_of_converted_networks_goes_with_them(run, tmp_path):
    own, words = shutil.copytree(run, tmp_path / "run"), ["", "", "", "", "hello", "no"]
    (own / "vocab.json").write_text(json.dumps(words))
    for phase in CHAIN:  # as a conversion writes them: nothing of a recipe or of data
        checkpoint = torch.load(own / phase / "best.ckpt", weights_only=True)
        config = checkpoint["semtalk"]["config"] = {
            key: value for key, value in checkpoint["semtalk"]["config"].items() if key in ("model", "features")
        }
        slots = config["features"]["slots"]
        slots["words"] = {"encoder": "vocabulary_ids", "dim": slots["words"]["dim"], "path": "run:vocab.json"}
        torch.save(checkpoint, own / phase / "best.ckpt")
    saved = SemTalk.from_pretrained(own).save_pretrained(tmp_path / "saved")
    assert json.loads((saved / "vocab.json").read_text()) == words
    assert "- corpus: not said\n" in (saved / "README.md").read_text()
    again = SemTalk.from_pretrained(saved)
    assert again.encoders["words"].index["hello"] == 4
    for content, says in (
        ('["a", "b", "c"]', r"more words than the network knows \(2\)"),
        ("[[1]]", "not a list of words"),
    ):
        (saved / "vocab.json").write_text(content)
        changed(saved, lambda said: said["networks"]["sparse"]["config"]["model"]["sparse"].update(vocabulary=2))
        with pytest.raises(SemTalkError, match=f"vocab.json: {says}"):
            SemTalk.from_pretrained(saved)
    SemTalk.from_pretrained(run).save_pretrained(tmp_path / "saved")
    assert not (tmp_path / "saved" / "vocab.json").exists(), "what an earlier one had is taken away"


def test_files_of_the_features_are_named_and_not_published(run, tmp_path, monkeypatch):
    own, words = shutil.copytree(run, tmp_path / "run"), tmp_path / "private" / "words.vec"
    words.parent.mkdir()
    words.write_text("2 64\n" + "".join(f"{word} {' '.join(['0.5'] * 64)}\n" for word in ("hello", "no")))
    for phase in CHAIN:
        checkpoint = torch.load(own / phase / "best.ckpt", weights_only=True)
        slots = checkpoint["semtalk"]["config"]["features"]["slots"]
        slots["words"] = {"encoder": "fasttext", "dim": slots["words"]["dim"], "path": str(words)}
        torch.save(checkpoint, own / phase / "best.ckpt")
    model = SemTalk.from_pretrained(own)
    saved = model.save_pretrained(tmp_path / "saved")
    card = (saved / "README.md").read_text()
    assert str(words.parent) not in (saved / "config.json").read_text() + card and "`words.vec`" in card
    with pytest.raises(
        SemTalkError, match="its features need 'words.vec', no part of it; give features.slots.words.path"
    ):
        SemTalk.from_pretrained(saved)
    assert_same_motion(model, SemTalk.from_pretrained(saved, files={"words": words}))


@pytest.mark.parametrize(
    ("data", "speakers", "known"),
    [
        ("show", [1, 2], ["conan", "oliver"]),
        ("mine", [1, 2], [1, 2]),
        ("show", [2, "conan"], [2, "conan"]),
        ("mine", ["Ada B.", "me"], ["Ada B.", "me"]),
    ],
)
def test_speakers_of_published_models_may_have_names(copied, data, speakers, known):
    def change(content):
        content["data"]["name"] = data
        for network in filter(None, content["networks"].values()):
            network["facts"]["speakers"] = speakers

    changed(copied, change)
    model = SemTalk.from_pretrained(copied)
    assert model.speakers == known and model.speaker_index(known[0]) == 0
    with pytest.raises(SemTalkError, match="speaker=seth: the run knows the speakers"):
        model(voice(1.0), speaker="seth")
