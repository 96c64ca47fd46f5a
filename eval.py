"""Evaluate a run: `python eval.py --help`."""

import hydra
from omegaconf import DictConfig

from semtalk.commands.evaluate import evaluate
from semtalk.run import command, start


@hydra.main(version_base="1.3", config_path="configs", config_name="eval")
def main(config: DictConfig) -> None:
    """Run the command."""
    command(evaluate, "eval", config)


if __name__ == "__main__":
    start(main, "eval")
