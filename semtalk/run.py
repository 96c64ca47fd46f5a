"""The three commands. Heavy imports wait until the configuration is known to be sound."""

import sys
from pathlib import Path

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from semtalk.errors import SemTalkError


def command(function, config: DictConfig) -> None:
    """Run a command; what the user should mend is one sentence on stderr, and exit code 1."""
    try:
        plain = OmegaConf.to_container(config, resolve=True, throw_on_missing=True)
        function(plain)
    except (SemTalkError, OmegaConfBaseException) as error:
        sys.exit(f"error: {error}")


def run_dir(config: dict) -> Path:
    """Folder that all stages of a run share."""
    return Path(config["runs_dir"]) / config["name"]


def open_corpus(data: dict):
    """Build the reader that a data configuration names."""
    from semtalk.data.beat2 import BEAT2Corpus
    from semtalk.data.sample import SampleCorpus

    readers = {"beat2": BEAT2Corpus, "sample": SampleCorpus}
    options = {key: value for key, value in data.items() if key not in ("reader", "store")}
    if data["reader"] not in readers:
        raise SemTalkError(f"data.reader={data['reader']}: choose one of {', '.join(readers)}.")
    return readers[data["reader"]](**options)


def open_store(config: dict, corpus, body):
    """Prepare the corpus, or open what is prepared."""
    from semtalk.data.store import prepare

    return prepare(corpus, config["features"], body, config["data"]["store"], config["strict"])


def train(config: dict) -> None:
    """Train the phases of a stage."""
    unknown = set(config["parts"]) - {"face", "upper", "hands", "lower"}
    if unknown or not config["parts"]:
        raise SemTalkError(f"parts={config['parts']}: choose among face, upper, hands, lower.")
    if config["recipe"]["stride"] % config["features"]["stride"]:
        raise SemTalkError("recipe.stride must be a multiple of features.stride, where window features are kept.")
    corpus = open_corpus(config["data"])

    from rich.console import Console
    from rich.table import Table

    from semtalk.body import load_body
    from semtalk.data.store import joint_speed
    from semtalk.tasks.fit import fit_phase

    body = load_body(config["body"]["path"])
    store = open_store(config, corpus, body)
    speed = corpus.mean_joint_speed()
    speed = joint_speed(store.split("train"), body) if speed is None else speed
    meta = {"speakers": store.speakers, "mean_joint_speed": [float(value) for value in speed], "body": body.name}
    phases = []
    for phase in config["stage"]["phases"]:
        phases += [f"rvqvae_{part}" for part in config["parts"]] if phase == "rvqvae" else [phase]
    table = Table("phase", "steps", "minutes", "validation", title=f"Trained {run_dir(config)}")
    console = Console()
    for phase in phases:
        console.print(f"[bold]{phase}[/bold]")
        row = fit_phase(phase, config, store, run_dir(config), meta, body)
        numbers = ", ".join(f"{name} {value:.4g}" for name, value in row["validation"].items())
        table.add_row(phase, str(row["steps"]), f"{row['seconds'] / 60:.1f}", numbers)
    console.print(table)
