"""Bring what a training lacks and the hub has: `python scripts/fetch.py --help`."""

import hydra
from omegaconf import DictConfig

from semtalk.commands.train import fetch
from semtalk.run import command, start


@hydra.main(version_base="1.3", config_path="../configs", config_name="train")
def main(config: DictConfig) -> None:
    """Run the command."""
    command(fetch, "train", config)


if __name__ == "__main__":
    start(main, "train", help_of="fetch")
