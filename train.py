"""Train a stage: `python train.py --help`."""

import hydra
from omegaconf import DictConfig

from semtalk.commands.train import train
from semtalk.run import command, start


@hydra.main(version_base="1.3", config_path="configs", config_name="train")
def main(config: DictConfig) -> float | None:
    """Run the command."""
    return command(train, "train", config)


if __name__ == "__main__":
    start(main, "train")
