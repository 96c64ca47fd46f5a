"""``python -m benchmarks`` runs all benchmarks, ``python -m benchmarks NAME ...`` some of them."""

import sys
from importlib import import_module

NAMES = {
    "train_base": "training", "train_sparse": "training", "train_rvqvae": "training", "memory": "training",
    "curves": "training", "loader": "data", "prepare": "data", "startup": "data", "generate": "generation",
    "metrics": "metrics",
}  # fmt: skip
"""Benchmark -> module that has a function of its name."""


def main() -> None:
    """Run the benchmarks that are named."""
    names = sys.argv[1:] or list(NAMES)
    if unknown := set(names) - set(NAMES):
        sys.exit(f"There is no benchmark {sorted(unknown)[0]}; choose among {', '.join(NAMES)}.")
    for name in names:
        getattr(import_module(f"benchmarks.{NAMES[name]}"), name)()


if __name__ == "__main__":
    main()
