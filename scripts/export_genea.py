"""Write what the GENEA leaderboard takes, look it through, cut stimuli: `python scripts/export_genea.py --help`."""

import hydra
from omegaconf import DictConfig

from semtalk.commands.genea import export_genea
from semtalk.run import command, start


@hydra.main(version_base="1.3", config_path="../configs", config_name="genea")
def main(config: DictConfig) -> None:
    """Run the command."""
    command(export_genea, "genea", config)


if __name__ == "__main__":
    start(main, "genea")
