"""Paths on the command line: any that the system admits, as the shell hands them over."""

import json
import os
import re
from typing import get_args

import pytest
from conftest import run_program
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf

from semtalk.errors import SemTalkError
from semtalk.settings import compose, settings_of
from semtalk.settings.commands import COMMANDS
from semtalk.settings.inputs import Slot
from semtalk.settings.refuse import refuse, unknown_key
from semtalk.settings.words import for_hydra, path_keys, seeds_swept, without_options

NAMES = [
    "my voice (1).wav", "a,b.wav", "it's.wav", "x=y.wav", "ünï çödé 中文.wav", "[z].wav", "${oops}.wav", "#hash.wav",
    "~t.wav", r"\.wav", "\\${oops}'\\", '"both" \'quotes\'', "{a:1}", "choice(1).wav", "[1]x,[2].wav", "null.wav", "12",
    "true", "a:b.wav", "%d $HOME `ls` !.wav", "new\nline.wav", "\udcff.wav", "-m", "+x", "a" * 255,
]  # fmt: skip
MISSING = object()
SUFFIX = "suffix=_${hydra:job.num}"
LESS = re.compile(r"features\.slots\.(?!words\.path)")
"""Keys that the encoders of their slots do not take here."""


def places(model, settings) -> dict[str, str | None]:
    """Key of a path -> what settings hold there; without the keys of other corpora than theirs."""
    found = {}
    for key in path_keys(model):
        value = settings
        for part in key.split("."):
            value = getattr(value, part, MISSING)
        if value is not MISSING and not LESS.match(key):
            found[key] = value
    return found


@pytest.mark.parametrize(
    ("command", "corpus"),
    [("train", "show"), ("train", "sample"), ("eval", "beat2"), ("generate", "sample"), ("prepare", "beat2")],
)
def test_every_key_of_a_path_takes_any_name(command, corpus):
    words = [
        f"data={corpus}",
        "features=light",
        "features.slots.words.encoder=fasttext",
        "++features.slots.words.model=null",
    ]
    words += ["format=arkit"] if command == "generate" else []  # which arkit_matrix is for
    keys = places(COMMANDS[command], compose(command, *words))
    together = [key for key in keys if key != "compare"]  # which reads what others measured, and takes no embedder
    given = dict(zip(together, NAMES, strict=False))
    assert "data.root" in given and "features.slots.words.path" in given
    settings = compose(command, *words, *(f"++{key}={name}" for key, name in given.items()))
    assert {key: name for key, name in places(COMMANDS[command], settings).items() if key in given} == given


@pytest.mark.parametrize("key", ["out", "audio"])
def test_any_name_is_taken(key):
    words = for_hydra("generate", [f"{key}={name}" for name in NAMES])
    given = [override.value() for override in OverridesParser.create().parse_overrides(words)]
    assert OmegaConf.to_container(OmegaConf.create(given), resolve=True) == NAMES


def test_the_keys_that_hold_paths_are_known():
    known = set().union(*(path_keys(model) for model in COMMANDS.values()))
    assert {
        "audio", "transcript", "motion", "betas", "out", "ckpt", "data.root", "body.path", "motions", "truth", "init",
        "tokenizer", "embedder", "mean_speed", "compare", "runs_dir", "data_dir", "data.store", "data.split_file",
        "data.smplx_path", "data.made", "whisper", "data.whisper", "features.slots.hubert.model",
        "features.slots.words.path",
    } <= known  # fmt: skip
    assert not known & {"name", "tag", "seed", "language", "emotion", "data.speakers", "trust", "logger.project"}
    assert "a path" in get_args(get_args(Slot.__annotations__["path"])[0])


def test_lists_hold_names(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert compose("generate", "audio=[x.wav,y z.wav]").audio == ["x.wav", "y z.wav"]
    names = [name for name in NAMES if "," not in name and name not in ("null", "\"both\" 'quotes'")]
    assert compose("generate", f"audio=[{','.join(names)}]").audio == names
    assert compose("generate", "audio=[ a.wav , 'b,c.wav' ]").audio == ["a.wav", "b,c.wav"]
    assert compose("generate", "audio=[a,b.wav,c.wav]").audio == ["a", "b.wav", "c.wav"]
    for name in ("a,b.wav", "[x,y].wav", " c"):
        (tmp_path / name).touch()
    assert compose("generate", "audio=[a,b.wav,[x,y].wav, c,d]").audio == ["a,b.wav", "[x,y].wav", " c", "d"]
    assert compose("eval", "compare=[a b,c (1)]").compare == ["a b", "c (1)"]
    assert compose("generate", "betas=[1.0,2.5]").betas == [1.0, 2.5]


def test_commas_of_a_list_are_of_the_longest_name_that_exists(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "nm").mkdir()
    for name in ("nm/,x.wav", "a,", "b", "a,,b"):
        (tmp_path / name).touch()
    assert compose("generate", "audio=[nm/,x.wav,c.wav]").audio == ["nm/,x.wav", "c.wav"]
    assert compose("generate", "audio=[a,,b]").audio == ["a,,b"] and compose("generate", "audio=[a,,c]").audio == [
        "a,",
        "c",
    ]


@pytest.mark.parametrize("word", ["audio=[x.wav,]", "audio=[,]", "audio=[a,,b]"])
def test_a_list_with_an_empty_element_is_one_sentence(word, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SemTalkError, match="the list has an empty element"):
        for_hydra("generate", [word])


@pytest.mark.parametrize("number", ["2024", "7", "1.0", "-3", "1e5", "1_000", ".5", "true", "False", "inf"])
def test_text_that_reads_as_a_number_is_text(number):
    given = compose("generate", f"name={number}", f"revision={number}", f"ckpt={number}", f"out={number}")
    assert given.name == given.revision == given.ckpt == given.out == number
    assert compose("generate", f"audio={number}", f"language={number}").audio == number
    assert compose("eval", f"tag={number}", f"compare=[{number},{number}]").compare == [number, number]
    assert jobs("-m", f"name={number},a")[0] == [f"name='{number}'"]


def test_numbers_and_empty_text_are_what_they_were():
    assert compose("generate", "seed=3", "speaker=2", "video_seconds=1.5").speaker == 2
    assert compose("train", "name=of_${seed}", "seed=4", "+trainer.max_time=00:08:00:00").name == "of_4"
    assert compose("train", "trainer.devices=2").trainer.devices == 2
    for key in ("revision", "name"):
        with pytest.raises(SemTalkError, match=rf"^{key}=: give (text or null|a name without slashes)\.$"):
            compose("generate", f"{key}=")


def test_what_exists_is_taken_literally(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert compose("generate", "audio=[a]", "betas='b c'", "out=[a]").out == "[a]", "no list can be meant"
    assert compose("generate", "audio=[a]").audio == ["a"] and compose("generate", "audio='b c'").audio == "b c"
    for name in ("[a]", "'b c'"):
        (tmp_path / name).touch()
    assert compose("generate", "audio=[a]").audio == "[a]" and compose("generate", "audio='b c'").audio == "'b c'"


def test_null_and_quoted_words_are_hydras():
    assert compose("generate", "out=null", "audio=NULL").out is None
    assert compose("generate", "out='${runs_dir}/x'", "runs_dir=my ${runs}").out == "my ${runs}/x"
    with pytest.raises(SemTalkError, match="out=: give a path or null"):
        compose("generate", "out=")
    assert compose("generate", "out=???").out == "./???"


@pytest.mark.parametrize(
    ("command", "word", "said"),
    [
        ("generate", "audio=[null]", "audio=[null]: give a path or null or a list, each a path."),
        ("generate", "audio=[a.wav,null]", "audio=[a.wav, null]: give a path or null or a list, each a path."),
        ("generate", "audio=[]", "audio=[]: the list is empty; give a path or null or a list, each a path."),
        ("eval", "compare=[null]", "compare=[null]: give a path or null or a list, each a path."),
        ("train", "parts=[]", "parts=[]: the list is empty; give a list, each one of face, upper, hands, lower."),
    ],
)
def test_a_list_that_holds_no_path_is_one_sentence(command, word, said):
    with pytest.raises(SemTalkError) as error:
        compose(command, word)
    assert str(error.value) == said


@pytest.mark.parametrize("given", ["[[null]]", "[[[]]]", "[[a.wav]]"])
def test_lists_in_a_list_of_paths_are_one_sentence(given):
    config = compose("generate").plain() | {"audio": json.loads(given.replace("a.wav", '"a.wav"'))}
    with pytest.raises(SemTalkError, match="^audio=.*: give a path or null or a list, each a path.$") as error:
        settings_of("generate", config)
    assert str(error.value).startswith(f"audio={given}: ")


def test_words_are_the_same_when_they_are_given_on():
    """Lightning starts further processes with what the first was started with."""
    words = [f"out={name}" for name in NAMES] + ["audio=[x.wav,y z.wav]", "seed=3", "--cfg", "job"]
    once = for_hydra("generate", words)
    assert for_hydra("generate", once) == once and once[-3:] == words[-3:]


def test_options_stand_anywhere():
    """Hydra's own parser takes none between two overrides, and `-m` is what it asks for where one has a comma."""
    overrides = ["name=a", "seed=0,1", "seed_in_name=true"]
    assert for_hydra("train", ["name=a", "seed=0,1", "-m"]) == [*overrides, "-m"]
    assert for_hydra("train", ["name=a", "-m", "seed=0,1"]) == [*overrides, "-m"]
    assert for_hydra("train", ["-m", "name=a", "seed=0,1"]) == ["-m", *overrides]
    between = ["seed=1", "--cfg", "job", "name=a", "--info", "all"]
    assert for_hydra("train", between) == ["seed=1", "name=a", "--cfg", "job", "--info", "all"]
    assert for_hydra("train", ["--help"]) == ["--help"]
    said = run_program("-m", "semtalk", "train", "seed=1", "--help").stdout
    assert "python" not in said and "semtalk train" in said, "whose name is an override too"


def jobs(*words: str) -> list[list[str]]:
    """What Hydra's sweeper makes of a command line."""
    overrides = OverridesParser.create().parse_overrides([word for word in for_hydra("train", words) if word[0] != "-"])
    return [list(job) for batch in BasicSweeper.split_arguments(overrides, None) for job in batch]


def test_sweeps_are_swept(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    suffix = r"suffix=_$\{hydra\:job.num\}"  # as Hydra hands it on
    assert jobs("-m", "init=a (1),it's") == [["init='a (1)'", suffix], [r"init='it\'s'", suffix]]
    assert jobs("--multirun", "init=choice(a,b)", "data_dir=x y") == [["init=a", "data_dir='x y'", suffix],
                                                                    ["init=b", "data_dir='x y'", suffix]]  # fmt: skip
    assert for_hydra("train", ["init=a,b"]) == ["init='a,b'"]
    assert for_hydra("eval", ["-m", "compare=[a,b],[c d,e]"])[1] == "compare=['a','b'],['c d','e']"
    os.mkdir("a,b")
    assert jobs("-m", "init=a,b") == [["init='a,b'"]] and len(jobs("-m", "init=a,b,c")) == 2


@pytest.mark.parametrize(
    "words",
    [
        ["-m", "seed=1"], ["seed=1", "--multirun"], ["--help"], ["--hydra-help"], ["--cfg", "job", "seed=1"],
        ["seed=1", "-c", "all", "--resolve"], ["-cn", "eval"], ["--config-name=eval"], ["--config-dir", "X", "seed=1"],
        ["-cd", "X"], ["-cp", "X"], ["--info"], ["--info", "plugins"], ["-p", "data", "--cfg=job"], ["~recipe.fgd"],
        ["~data", "+x=1", "++y=2", "experiment@_global_=smoke", "hydra.mode=MULTIRUN"], ["data.root=-m", "name=~x"],
    ],
)  # fmt: skip
def test_words_that_hydra_knows_go_through(words):
    refuse("train", words)


@pytest.mark.parametrize(
    ("name", "words", "says"),
    [
        ("eval", ["protocl=talkshow"], "protocl: there is no such key; did you mean protocol?"),
        (
            "train",
            ["seed=1", "recipe.base.lrr=3"],
            "recipe.base.lrr: there is no such key; did you mean recipe.base.lr?",
        ),
        ("train", ["recipe.base.xyzzy=3"], "recipe.base.xyzzy: there is no such key; choose one of steps, "),
        ("train", ["trainer.max_epochs=3"], "trainer.max_epochs: this is not set by trainer, but by recipe.*.epochs."),
        ("train", ["model=big"], "model=big: choose one of paper, release, small, strong."),
        ("train", ["-m", "model=small,big"], "model=small,big: choose one of paper, release, small, strong."),
        ("train", ["experiment=[smoke,none]"], "experiment=[smoke,none]: choose one of ablation/"),
        ("train", ["~foo"], "foo: there is no such key; choose one of seeds,"),
        ("generate", ["dir/x=y.wav"], "dir/x=y.wav: give it as key=value, as in audio=dir/x=y.wav."),
    ],
)
def test_a_key_or_an_option_that_is_none_is_one_sentence(name, words, says):
    with pytest.raises(SemTalkError) as error:
        refuse(name, words)
    assert str(error.value).startswith(says) and "\n" not in str(error.value)


@pytest.mark.parametrize(
    "words",
    [
        ["experiment=ablation/no_beats"], ["experiment=null"], ["experiment=[smoke,beat2]"], ["logger=csv"],
        ["data.anything.else=1", "--config-dir", "X"], ["data=mine", "hydra.searchpath=[file://X]"],
        ["hydra/launcher=joblib", "hydra.job.num=1"], ["-m", "model=choice(small,paper)", "recipe.base.lr=1e-3,1e-4"],
        ["body.path=x", "data.root=x", "trainer.devices=2", "recipe.fgd.losses.rotation=1"],
    ],
)  # fmt: skip
def test_keys_and_options_that_are_there_go_through(words, monkeypatch):
    monkeypatch.setattr("semtalk.settings.refuse.find_spec", lambda module: True)
    refuse("train", words)


def test_a_key_that_configurations_leave_out_needs_no_plus():
    settings = compose("train", "trainer.profiler=simple", "trainer.limit_val_batches=2", "seed=3")
    assert (settings.trainer.profiler, settings.trainer.limit_val_batches, settings.seed) == ("simple", 2, 3)


def test_every_key_of_every_command_is_known():
    for name, model in COMMANDS.items():
        for key in path_keys(model):
            assert unknown_key(model, key.split(".")) is None, (name, key)


def test_a_word_alone_is_one_sentence_in_python_too():
    with pytest.raises(SemTalkError, match=r"^smoke: give it as key=value, as in experiment=smoke\.$"):
        compose("train", "smoke")
    assert "recipe" not in without_options(["~recipe", "--cfg", "job"])


def test_seeds_of_one_command_have_names_of_their_own():
    assert compose("train", "seed=3", "name=mine", "seed_in_name=true").run_name == "mine_seed3"
    assert compose("train", "seed=3", "name=mine").run_name == "mine"
    assert jobs("-m", "seed=0,1") == [["seed=0", "seed_in_name=True"], ["seed=1", "seed_in_name=True"]]
    assert jobs("-m", "seed=range(2)", "name=a")[1] == ["seed=1", "name=a", "seed_in_name=True"]
    for words in (["-m", "seed=1", "name=a,b"], ["seed=1"], ["-m", "seed=0,1", "name=of_${seed}"],
                  ["-m", "seed=0,1", "seed_in_name=false"]):  # fmt: skip
        assert "seed_in_name=true" not in for_hydra("train", words), words
    assert "seed_in_name=true" in for_hydra("eval", ["-m", "seed=0,1"])
    assert "seed_in_name=true" not in for_hydra("generate", ["-m", "seed=0,1"]), "there it is the motion's"


def test_seeds_are_a_sweep_of_the_seed():
    def swept(*words):
        return for_hydra("train", seeds_swept(words))

    assert jobs(*seeds_swept(["name=a", "seeds=[0,2]"])) == [
        ["name=a", "seed=0", "seed_in_name=True"], ["name=a", "seed=2", "seed_in_name=True"]
    ]  # fmt: skip
    assert swept("seeds=[3]") == ["--multirun", "seed=3", "seed_in_name=true"], "NAME_seed3 as with more"
    assert swept("-m", "seeds=[ 0 , 1 ]") == ["-m", "seed=0,1", "seed_in_name=true"]
    assert swept("seeds=null") == ["seeds=null"]
    for wrong, said in (
        (["seeds=3"], "list of whole numbers"), (["seeds=[a]"], "list of whole numbers"), (["seeds=[]"], "list of"),
        (["seeds=[0]", "seed=1"], "give seed or seeds"), (["seeds=[0]", "seeds=[1]"], "and once"),
        (["seeds=[0,1,00]"], "give each seed once"),
        (["seeds=[0]", "hydra/sweeper=optuna_val"], "a search takes one seed"),
    ):  # fmt: skip
        with pytest.raises(SemTalkError, match=said):
            seeds_swept(wrong)
    with pytest.raises(SemTalkError, match="seeds is for the command line"):
        compose("eval", "seeds=[0,1]")


def test_runs_of_a_sweep_have_folders_of_their_own():
    def apart(*words, name="train"):
        return SUFFIX in for_hydra(name, words)

    assert apart("-m", "recipe.base.lr=1e-3,1e-4") and apart("-m", "hydra/sweeper=optuna_val")
    assert apart("-m", "data=sample,beat2", "recipe.base.lr=1e-3,1e-4"), "two of each corpus"
    for words in (
        ["recipe.base.lr=1e-3"], ["-m", "seed=0,1"], ["-m", "stage=rvqvae,semtalk"], ["-m", "data=sample,beat2"],
        ["-m", "name=a,b"], ["-m", "recipe.base.lr=1,2", "name='a${recipe.base.lr}'"], ["-m", "parts=[face,hands]"],
        ["-m", "recipe.base.lr=1,2", "suffix=x"],
    ):  # fmt: skip
        assert not apart(*words), words
    assert apart("-m", "recipe.base.betas=[0.9,0.9],[0.5,0.9]") and not apart("-m", "beta=0.3,0.5", name="eval")
    settings = compose("train", "suffix=_2", "name=a", "seed=1", "seed_in_name=true")
    assert settings.run_name == "a_2_seed1"


def test_seeds_write_to_two_folders_of_any_name(tmp_path):
    runs = tmp_path / "it's [a] ${run}, x=y"
    runs.mkdir()  # else the comma divides what is swept
    said = run_program(
        "train.py", "-m", "seed=0,1", "name=n", f"runs_dir={runs}", "data=beat2", "dry_run=true", "stage=fgd",
        COLUMNS="400",
    ).stdout  # fmt: skip
    assert f"{runs}/n_seed0." in said and f"{runs}/n_seed1." in said


@pytest.mark.parametrize("name", ["my voice (1), it's [z].wav", "${oops}.wav"])
def test_names_come_through_the_command_line(tmp_path, name):
    said = run_program("generate.py", f"audio={tmp_path}/{name}", check=False)
    assert said.returncode == 1 and f"error: {tmp_path}/{name}: no such sound file" in said.stderr
