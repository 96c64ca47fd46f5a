"""``python -m benchmarks`` runs the benchmarks of speed, ``python -m benchmarks NAME ...`` those that are named.

Words with ``=`` go to benchmarks that take them: ``python -m benchmarks real_speech seeds=3 recipe.base.steps=400``.
"""

import sys
from importlib import import_module

MODULES = {
    "training": ("train_base", "train_sparse", "train_rvqvae", "memory", "batches", "profile", "curves"),
    "data": ("loader", "prepare", "startup"),
    "generation": ("generate",),
    "start": ("start",),
    "live": ("live",),
    "waiting": ("waiting",),
    "judging": ("judge",),
    "metrics": ("metrics",),
    "real_speech": ("real_speech",),
    "ablations": ("ablate_base", "ablate_rvqvae"),
    "selection": ("select_base", "select_sparse"),
    "transcripts": ("transcripts",),
    "scale": ("scale",),
    "alignment": ("alignment",),
    "arrival": ("hops", "feet"),
}
"""Module -> its functions, each a benchmark."""
CONFIGURED = (
    "real_speech", "ablate_base", "ablate_rvqvae", "select_base", "select_sparse", "scale", "alignment", "hops", "feet",
)  # fmt: skip
"""Benchmarks that take ``KEY=VALUE``; they train for long or need a run, and run only when they are named."""


def chosen(words: list[str]) -> tuple[list[str], list[str]]:
    """Names of benchmarks and the ``KEY=VALUE`` for them, of the words of a command; a wrong one ends the program."""
    homes = [name for names in MODULES.values() for name in names]
    settings = [word for word in words if "=" in word]
    names = [word for word in words if "=" not in word]
    if unknown := set(names) - set(homes):
        sys.exit(f"There is no benchmark {sorted(unknown)[0]}; choose among {', '.join(homes)}.")
    names = names or [name for name in homes if name not in CONFIGURED]
    if settings and (deaf := [name for name in names if name not in CONFIGURED]):
        sys.exit(f"{settings[0]}: {deaf[0]} takes no overrides; {', '.join(CONFIGURED)} do.")
    return names, settings


def main() -> None:
    """Run the benchmarks that are named."""
    names, settings = chosen(sys.argv[1:])
    homes = {name: module for module, functions in MODULES.items() for name in functions}
    for name in names:
        getattr(import_module(f"benchmarks.{homes[name]}"), name)(*settings)


if __name__ == "__main__":
    main()
