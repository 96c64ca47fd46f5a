"""Prepare a corpus: `python scripts/prepare.py --help`."""

import hydra
from omegaconf import DictConfig

from semtalk.commands.prepare import prepare_corpus
from semtalk.run import command, start


@hydra.main(version_base="1.3", config_path="../configs", config_name="prepare")
def main(config: DictConfig) -> None:
    """Run the command."""
    command(prepare_corpus, "prepare", config)


if __name__ == "__main__":
    start(main, "prepare")
