"""Where the package, its configurations and its checkout are."""

from pathlib import Path

PACKAGE = Path(__file__).resolve().parent
CONFIGS = PACKAGE / "configs" if (PACKAGE / "configs").is_dir() else PACKAGE.parent / "configs"
"""Inside the package where a wheel was installed, beside it in a checkout."""
CHECKOUT = PACKAGE.parent if CONFIGS.parent == PACKAGE.parent else None
"""Root of the checkout that the package is run from; none where a wheel was installed."""


def called(command: str) -> str:
    """How a command is called from the current folder: as a script where that is the checkout, else as installed.

    Args:
        command: ``train``, ``eval``, ``generate``, ``prepare`` or ``fetch``.
    """
    if CHECKOUT is None or Path.cwd() != CHECKOUT:
        return f"semtalk {command}"
    return f"python {command}.py" if (CHECKOUT / f"{command}.py").is_file() else f"python scripts/{command}.py"
