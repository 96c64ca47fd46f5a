"""``python -m benchmarks`` runs all benchmarks, ``python -m benchmarks NAME ...`` some of them."""

import sys
from importlib import import_module

MODULES = {
    "training": ("train_base", "train_sparse", "train_rvqvae", "memory", "batches", "profile", "curves"),
    "data": ("loader", "prepare", "startup"),
    "generation": ("generate",),
    "metrics": ("metrics",),
}
"""Module -> its functions, each a benchmark."""


def main() -> None:
    """Run the benchmarks that are named."""
    homes = {name: module for module, names in MODULES.items() for name in names}
    names = sys.argv[1:] or list(homes)
    if unknown := set(names) - set(homes):
        sys.exit(f"There is no benchmark {sorted(unknown)[0]}; choose among {', '.join(homes)}.")
    for name in names:
        getattr(import_module(f"benchmarks.{homes[name]}"), name)()


if __name__ == "__main__":
    main()
