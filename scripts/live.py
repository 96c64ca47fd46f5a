"""Send the motion of a voice to other programs while it is made: `python scripts/live.py --help`."""

import hydra
from omegaconf import DictConfig

from semtalk.commands.live import send_live
from semtalk.run import command, start


@hydra.main(version_base="1.3", config_path="../configs", config_name="live")
def main(config: DictConfig) -> None:
    """Run the command."""
    command(send_live, "live", config)


if __name__ == "__main__":
    start(main, "live")
