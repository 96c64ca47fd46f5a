"""docs/configuration.md, JSON schemas for editors and ``--help``: ``python -m semtalk.settings.page`` writes them."""

import ast
import inspect
import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path
from textwrap import dedent, wrap
from typing import Any

from pydantic import BaseModel

from semtalk.settings.check import described, fields_of, models_of
from semtalk.settings.commands import COMMANDS, Command
from semtalk.settings.inputs import BEAT2Data

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "configuration.md"
SCHEMAS = ROOT / "docs" / "schema"
CONFIGS = ROOT / "configs"
CALLED = "${hydra.help.app_name}"
"""What ``--help`` puts in its lines as the command: ``python train.py``, or ``semtalk train`` where it is called so."""
HEAD = """# Every key

`python train.py KEY=VALUE`, and so for the other commands; the values are in `configs/`. This page is made from
`semtalk/settings` (`python -m semtalk.settings.page`), which refuses any other value in one sentence. Editors find JSON
schemas in `docs/schema`.

A key whose value is a path takes any name as the shell hands it over: `"audio=it's, (1) ${x}.wav"`. Where it takes
a list, `[a.wav,b c.wav]` is one, unless a file of just that name exists; in a list, and in a sweep of `-m`, a comma
belongs to a name only where such a file exists or the name is quoted once more: `"audio=['a,b.wav',c.wav]"`. `null`
is no path (`./null` is), and what is wholly in quotes of its own is Hydra's, with its `${...}`:
`out='"${runs_dir}/x"'`.
"""


@cache
def meanings(model: type[BaseModel]) -> dict[str, str]:
    """Key in the configuration -> the docstring below its field, in a model and in those that it inherits from.

    pydantic can read them too, but only as a class is made, whenever a command starts; nothing else needs them.
    """
    said: dict[str, str] = {}
    for base in reversed(model.__mro__):
        if not issubclass(base, BaseModel) or base is BaseModel:
            continue
        (definition,) = ast.parse(dedent(inspect.getsource(base))).body
        for field, text in pairwise(definition.body):
            match field, text:
                case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(meaning))):
                    said[model.model_fields[name].alias or name] = inspect.cleandoc(meaning)
    return said


def rows_of(model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, str, str]]:
    """Key, what it takes, and what it means, of a model and of what it holds."""
    said = meanings(model)
    for name, field in fields_of(model).items():
        key = prefix + name
        inner = models_of(field.annotation)
        if len(inner) == 1 and not described(field.annotation).startswith("a list"):
            yield from rows_of(inner[0], f"{key}.")
        elif not inner:
            yield key, described(field.annotation, field.metadata), said.get(name, "Weight of a loss.")
        elif described(field.annotation).startswith("a list"):
            links = ", ".join(f"{link}: {meaning}" for link, meaning in meanings(inner[0]).items())
            yield key, "a list of groups", f"{said[name]} ({links})"


def table(rows: list[tuple[str, str, str]]) -> str:
    """Rows as a table in Markdown."""
    lines = ["| key | takes | meaning |", "| --- | --- | --- |"]
    return "\n".join([*lines, *(f"| `{key}` | {takes} | {' '.join(said.split())} |" for key, takes, said in rows)])


def page() -> str:
    """The page: what every command takes, each corpus's own keys, and each command's."""
    shared = list(rows_of(Command))
    parts = [HEAD, "## Of every command\n", table(shared)]
    for model in models_of(Command.model_fields["data"].annotation):
        parts += [f"\n## `data`: {model.__doc__}\n", table(list(rows_of(model, "data.")))]
    for name, model in COMMANDS.items():
        own = [row for row in rows_of(model) if row not in shared]
        parts += [f"\n## {model.__doc__.strip('.')}: `configs/{name}.yaml`\n", table(own)]
    return "\n".join(parts) + "\n"


@dataclass(frozen=True)
class Help:
    """What ``--help`` of a command says beside what its keys mean.

    Attributes:
        script: That runs it.
        header: What it does.
        usage: Command lines and what each is for.
        keys: Examples of the keys that matter; of a group's option, what its file says first.
    """

    script: str
    header: str
    usage: tuple[str, ...]
    keys: tuple[str, ...]


HELP = {
    "train": Help(
        "train.py",
        "Train SemTalk: speech to holistic SMPL-X motion (face, hands, upper and lower body).",
        (
            "python train.py stage=rvqvae      the four RVQ-VAEs, the translation network and the FGD embedder",
            "python train.py stage=semtalk     the base and the sparse network",
            "python train.py stage=all         everything, one after another",
            "python train.py stage=alignment   what scores how well any method's motion fits its sound",
        ),
        (
            "data.root=DIR", "data.speakers=[2]", "parts=[hands]", "name=NAME", "experiment=beat2", "features=light",
            "dry_run=true", "init=RUN", "tokenizer=RUN", "embedder=RUN", "resume=true", "seed=0", "body.path=DIR",
            "recipe.base.epochs=N", "recipe.base.steps=N", "speed=plain", "trainer.devices=2",
            "trainer.accumulate_grad_batches=4", "strict=true",
        ),
    ),
    "eval": Help(
        "eval.py",
        "Evaluate a trained run with the field's metrics: FGD, BC, DIV, MSE, LVD.",
        (
            "python eval.py                    the run on the embedded corpus",
            "python eval.py data=beat2 data.root=DIR",
            "python eval.py motions=DIR truth=DIR audio=DIR     any method's npz files by name; no model needed",
            "python eval.py compare=[runs/A,runs/B]             evaluated runs in one table, with bootstrap intervals",
        ),
        (
            "name=NAME", "ckpt=DIR", "split=test", "protocol=legacy", "metrics=extended", "embedder=RUN", "scorer=RUN",
            "mean_speed=FILE.npy", "beta=0.5", "decoding.face=expected", "decoding.body=coherent",
            "decoding.sparse=likeliest", "samples=4", "gate=learned", "tag=NAME", "body.path=DIR", "video=true",
            "video_seconds=10", "view=face", "trust=[PACKAGE]", "out=DIR",
        ),
    ),
    "generate": Help(
        "generate.py",
        "Turn a voice recording into motion: an npz for the BEAT2 Blender add-on, and a video.",
        ("python generate.py audio=FILE.wav",),
        (
            "audio=FILE", "transcript=FILE", "whisper=small", "language=es", "speaker=1", "emotion=happiness",
            "motion=FILE.npz", "betas=FILE.npz", "emphasise=[WORD,WORD@SECONDS]", "calm=[WORD]", "psi=FILE.csv",
            "pose=[FILE.npz@SECONDS]", "format=[bvh,glb,arkit]", "arkit_fps=60", "arkit_matrix=FILE.npy", "batch=16",
            "precision=bf16", "name=NAME", "ckpt=DIR", "beta=0.5", "decoding.face=expected", "decoding.body=coherent",
            "decoding.sparse=likeliest", "samples=4", "seed=0", "video=false", "video_seconds=60", "view=face",
            "trust=[PACKAGE]", "in_place=true", "out=DIR",
        ),
    ),
    "prepare": Help(
        "scripts/prepare.py",
        "Prepare a corpus: read, validate, encode, store. Training does it by itself; this is for large corpora.",
        (
            "python scripts/prepare.py data=beat2 data.root=DIR features=paper",
            "python scripts/prepare.py -m shard=1/2,2/2 hydra/launcher=joblib     several shares at once",
        ),
        ("data=beat2", "features=light", "shard=2/8", "report=true", "strict=true", "body.path=DIR"),
    ),
    "genea": Help(
        "scripts/export_genea.py",
        "Write what the GENEA leaderboard takes of a run, look such a folder through, or cut stimuli for a study.",
        (
            "python scripts/export_genea.py ckpt=RUN out=DIR data=beat2 data.root=DIR data.speakers=all",
            "python scripts/export_genea.py check=DIR ckpt=RUN data=beat2 data.root=DIR    what is wrong with a folder",
            "python scripts/export_genea.py segments=FILE.csv motions=DIR audio=DIR out=DIR    of any method's folder",
        ),
        (
            "ckpt=RUN", "out=DIR", "begin=take", "samples=5", "check=DIR", "segments=FILE.csv", "motions=DIR",
            "audio=DIR", "video=false", "video_seconds=2", "data.root=DIR", "data.speakers=all", "beta=0.5",
            "decoding.face=expected", "decoding.body=coherent", "decoding.sparse=likeliest", "gate=learned", "seed=0",
            "trust=[PACKAGE]",
        ),
    ),
    "live": Help(
        "scripts/live.py",
        "Send the motion of a voice to Unity, Unreal, Blender or an avatar program by VMC, while it is made.",
        ("python scripts/live.py audio=FILE.wav target=127.0.0.1:39539",),
        (
            "audio=FILE", "transcript=FILE", "target=HOST:PORT", "play=false", "face=vrm", "arkit_matrix=FILE.npy",
            "jaw=true", "hips_height=0.9", "bundle=false", "lookahead=30", "speaker=1", "emotion=happiness",
            "name=NAME", "ckpt=DIR", "beta=0.5", "decoding.face=expected", "decoding.body=coherent",
            "decoding.sparse=likeliest", "seed=0", "body.path=DIR", "trust=[PACKAGE]",
        ),
    ),
    "study": Help(
        "scripts/study.py",
        "Have people compare methods in pairs, blind, in a browser; and say what they found.",
        (
            "python scripts/study.py methods=[DIR_A,DIR_B] truth=DIR audio=DIR out=DIR    makes a study, serves it",
            "python scripts/study.py out=DIR             goes on serving it",
            "python scripts/study.py report=DIR          what was found",
            "python scripts/study.py export=DIR          for HEMVIP2",
        ),
        (
            "methods=[DIR_A,DIR_B]", "truth=DIR", "audio=DIR", "segments=FILE.csv", "seconds=10", "clips=24",
            "samples=5", "out=DIR", "questions=[realism]", "pages=25", "checks=4", "spoken=DIR", "host=0.0.0.0",
            "port=8000", "serve=false", "report=DIR", "export=DIR", "raters=20", "resamples=10000", "seed=0",
        ),
    ),
    "studio": Help(
        "scripts/studio.py",
        "Turn a voice into motion in a browser on this machine, and say which of its words matter.",
        ("python scripts/studio.py ckpt=RUN",),
        (
            "name=NAME", "ckpt=DIR", "beside=RUN", "whisper=small", "language=es", "longest=300", "port=7860",
            "seed=0", "body.path=DIR", "trust=[PACKAGE]",
        ),
    ),
    "fetch": Help(
        "scripts/fetch.py",
        "Bring what a training lacks and the hub has: encoders' models, and BEAT2. It takes what a training takes.",
        (
            "python scripts/fetch.py experiment=beat2 data.root=DIR                   what is missing alone; goes on",
            "python scripts/fetch.py experiment=beat2 data.root=DIR dry_run=true      what there is, and what is not",
        ),
        ("experiment=beat2", "data.root=DIR", "data.speakers=[2]", "features=light", "body.path=DIR", "embedder=RUN"),
    ),
}  # fmt: skip


def meaning(name: str, example: str) -> str:
    """What the key of an example means: its field's description, or the first line of a group's option."""
    key, _, option = example.lstrip("+").partition("=")
    file = CONFIGS / key / f"{option}.yaml"
    if file.is_file():
        lines = file.read_text(encoding="utf-8").splitlines()
        said = " ".join(line[2:] for line in lines if line.startswith("# ") and "@package" not in line)
        return said.split(". ")[0].split("; ")[0].rstrip(".") + "."
    rows = list(rows_of(COMMANDS.get(name, COMMANDS["train"])))
    for model in (BEAT2Data, *models_of(Command.model_fields["data"].annotation)):
        rows += rows_of(model, "data.")
    return next(said for found, _, said in rows if found == key)


def help_of(name: str) -> str:
    """``configs/hydra/help/NAME.yaml``."""
    given = HELP[name]
    usage = (line.replace(f"python {given.script}", CALLED) for line in given.usage)
    lines = ["${hydra.help.header}", "", *usage, "", "Choices (group=option):", "$APP_CONFIG_GROUPS"]
    lines.append("Options that matter (key=value); docs/configuration.md has them all:")
    for example in given.keys:
        said = wrap(" ".join(meaning(name, example).split()), 88)
        lines += [f"  {example:<24} {said[0]}", *(f"{'':27}{line}" for line in said[1:])]
    lines.append(f"Show the full configuration: {CALLED} --cfg job")
    template = "\n".join(f"  {line}".rstrip() for line in lines)
    return (
        "# Made by python -m semtalk.settings.page.\n"
        f'app_name: python {given.script}\nheader: "{given.header}"\ntemplate: |-\n{template}\nfooter: ""\n'
    )


def schemas() -> dict[Path, str]:
    """File -> JSON schema of a command."""
    return {SCHEMAS / f"{name}.json": json.dumps(_schema(model), indent=1) + "\n" for name, model in COMMANDS.items()}


def _schema(model: type[BaseModel]) -> dict[str, Any]:
    """JSON schema of a model, with what its keys mean."""
    schema = model.model_json_schema()
    models, waiting = {}, [model]
    while waiting:
        one = waiting.pop()
        models[one.__name__] = one
        waiting += (inner for field in one.model_fields.values() for inner in models_of(field.annotation))
    for name, part in {**schema["$defs"], model.__name__: schema}.items():
        for key, meaning in meanings(models[name]).items():
            part["properties"][key] = {"description": meaning, **part["properties"][key]}
    return schema


def main() -> None:
    """Write the page and the schemas."""
    SCHEMAS.mkdir(parents=True, exist_ok=True)
    helps = {CONFIGS / "hydra" / "help" / f"{name}.yaml": help_of(name) for name in HELP}
    for path, text in {PAGE: page(), **schemas(), **helps}.items():
        path.write_text(text, encoding="utf-8")
        print(path)


if __name__ == "__main__":
    main()
