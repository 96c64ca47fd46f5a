"""Label a corpus without semantic labels by a trained gate: `python scripts/label_semantics.py ckpt=DIR data=show`."""

import hydra
from omegaconf import DictConfig

from semtalk.commands.prepare import label_semantics
from semtalk.run import command, start


@hydra.main(version_base="1.3", config_path="../configs", config_name="generate")
def main(config: DictConfig) -> None:
    """Run the command."""
    command(label_semantics, "generate", config)


if __name__ == "__main__":
    start(main, "generate")
