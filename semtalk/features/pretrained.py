"""Pretrained models from a package, a local folder or the Hugging Face cache; nothing is ever fetched here."""

from pathlib import Path

from semtalk.catalogue import REPOSITORY, model_on_hub
from semtalk.errors import MissingModelError, SemTalkError
from semtalk.features.packages import PACKAGES, package_folder


def local_model(name: str, key: str, alternative: str) -> Path:
    """Folder of a pretrained model.

    Args:
        name: A package of :data:`PACKAGES`, a folder, or a repository whose files are in the Hugging Face cache.
        key: The configuration key that names the model.
        alternative: What to do without it.

    Raises:
        MissingModelError: It is in none of them; the message holds the command that fetches it.
    """
    if name in PACKAGES:
        return package_folder(name, key, alternative)
    if Path(name).is_dir():
        return Path(name)
    if REPOSITORY.fullmatch(name) is None:
        raise MissingModelError(f"{key}={name}: there is no such folder; give that of the model, or {alternative}.")
    folder = cached_model(name)
    if folder is None:
        raise MissingModelError(
            f"{key}={name}: the model is neither a folder here nor in the Hugging Face cache; fetch it with "
            f"`{model_on_hub(name).command}`, or {alternative}."
        )
    return folder


def cached_model(name: str) -> Path | None:
    """Folder of a repository in the Hugging Face cache, called by its commit; none where what is read is not there."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(name, allow_patterns=model_on_hub(name).patterns, local_files_only=True))
    except (LocalEntryNotFoundError, HFValidationError, FileNotFoundError):
        return None


def load_pretrained(load, folder: Path, key: str, **options):
    """Call a ``from_pretrained`` on a local folder; what it cannot read is one sentence."""
    from transformers.utils import logging

    logging.disable_progress_bar()
    try:
        return load(folder, local_files_only=True, **options)
    except (OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
        raise MissingModelError(
            f"{key}: {folder} does not hold a readable model ({str(error).splitlines()[0]})."
        ) from error


def pick_device(wanted: str = "auto"):
    """``cuda`` where there is a GPU, unless another device is wanted.

    Raises:
        SemTalkError: There is no such device here.
    """
    import torch

    if wanted == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(wanted)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise SemTalkError(f"device={wanted}: there is none here; give auto, cpu or cuda.") from error
    return device
