"""Turn a voice recording into motion: `python generate.py --help`."""

import hydra
from omegaconf import DictConfig

from semtalk.commands.generate import generate
from semtalk.run import command, start


@hydra.main(version_base="1.3", config_path="configs", config_name="generate")
def main(config: DictConfig) -> None:
    """Run the command."""
    command(generate, "generate", config)


if __name__ == "__main__":
    start(main, "generate")
