"""What a run or a result was made with: ``environment.json`` has versions, machine, device and commit."""

import hashlib
import os
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from semtalk import __version__
from semtalk.files import read_kept, write_json
from semtalk.places import CHECKOUT, PACKAGE

FILE = "environment.json"
PACKAGES = (
    "torch", "numpy", "scipy", "librosa", "soundfile", "soxr", "pytorch-lightning", "torchmetrics", "hydra-core",
    "transformers", "smplx", "mannequin-x", "roma", "safetensors", "faster-whisper", "ctranslate2",
)  # fmt: skip
"""What numbers depend on."""


def cores() -> int:
    """CPU cores that this process may use; some systems tell only how many there are."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def versions() -> dict[str, str]:
    """Package -> version of what numbers depend on, where it is installed."""
    found = {"semtalk": __version__}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _git(*arguments: str) -> str | None:
    """What git says of the checkout; none where it cannot."""
    if CHECKOUT is None or not (CHECKOUT / ".git").exists():
        return None  # the folder that a wheel was installed into may lie in a repository of something else
    try:
        said = subprocess.run(["git", "-C", str(CHECKOUT), *arguments], capture_output=True, text=True, check=False)
    except OSError:
        return None
    return said.stdout.strip() if said.returncode == 0 else None


CPUINFO = Path("/proc/cpuinfo")


def cpuinfo(key: str) -> str:
    """What Linux says of the first core; empty on other systems."""
    lines = CPUINFO.read_text(encoding="utf-8").splitlines() if CPUINFO.is_file() else []
    pairs = (line.partition(":") for line in lines)
    return next((value.strip() for name, _, value in pairs if name.strip() == key), "")


def processor() -> str:
    """Name of the CPU."""
    return cpuinfo("model name") or platform.processor()


def commit() -> str | None:
    """Of the checkout, where this is one."""
    return _git("rev-parse", "HEAD")


def code() -> str:
    """Digest of the modules of this package as they lie on the disk, changes that are not committed included."""
    files = sorted(PACKAGE.rglob("*.py"))
    return hashlib.sha256(b"".join(path.name.encode() + path.read_bytes() for path in files)).hexdigest()[:12]


def environment(device: Any) -> dict[str, Any]:
    """What this process runs on.

    Args:
        device: That the networks are on, as torch or a word names it.
    """
    import torch

    gpus = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    changes = _git("status", "--porcelain")
    return {
        "versions": versions(),
        "python": platform.python_version(),
        "machine": {
            "host": platform.node(), "system": platform.platform(), "cpu": processor(),
            "cores": cores(), "threads": torch.get_num_threads(), "gpus": gpus,
            "cuda": torch.version.cuda,
        },
        "device": str(device),
        "commit": commit(),
        "dirty": None if changes is None else bool(changes),
    }  # fmt: skip


def write_environment(folder: Path, device: Any, going_on: bool = False, command: str | None = None) -> Path:
    """Write ``environment.json`` into a folder; returns its path.

    Args:
        folder: Of checkpoints or results.
        device: See :func:`environment`.
        going_on: Whether what is there was begun before; another environment that it was begun in is kept in
            ``earlier``.
        command: Command line that gives the same result, where it is known.
    """
    path, content = folder / FILE, environment(device) | ({"command": command} if command else {})
    before = read_kept(path) if going_on else {}
    earlier = before.pop("earlier", [])
    if before and before != content:
        earlier = [*earlier, before]
    write_json(path, content | ({"earlier": earlier} if earlier else {}))
    return path
