"""Have people compare methods in a browser, and report it: `python scripts/study.py --help`."""

import hydra
from omegaconf import DictConfig

from semtalk.commands.study import study
from semtalk.run import command, start


@hydra.main(version_base="1.3", config_path="../configs", config_name="study")
def main(config: DictConfig) -> None:
    """Run the command."""
    command(study, "study", config)


if __name__ == "__main__":
    start(main, "study")
