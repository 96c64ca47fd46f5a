"""What makes a checkpoint one of this code base: the configuration and the facts that its network is built from."""

from typing import Any

FORMAT = 1


def stamp(checkpoint: dict[str, Any], phase: str, config: dict, meta: dict) -> None:
    """Add to a checkpoint what :func:`semtalk.tasks.checkpoint.load_network` needs."""
    from semtalk import __version__

    checkpoint["semtalk"] = {
        "format": FORMAT, "version": __version__, "phase": phase, "config": config, "meta": meta,
    }  # fmt: skip
