"""Turn a voice into motion in a browser, and say which words matter: `python scripts/studio.py --help`."""

import hydra
from omegaconf import DictConfig

from semtalk.commands.studio import studio
from semtalk.run import command, start


@hydra.main(version_base="1.3", config_path="../configs", config_name="studio")
def main(config: DictConfig) -> None:
    """Run the command."""
    command(studio, "studio", config)


if __name__ == "__main__":
    start(main, "studio")
