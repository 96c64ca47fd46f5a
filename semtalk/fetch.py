"""Brings what settings lack and the hub has: whole files alone, none twice, a broken download from where it stopped."""

import errno
import hashlib
import os
from fnmatch import fnmatch
from pathlib import Path

from semtalk.catalogue import Thing
from semtalk.data.beat2 import FOLDER
from semtalk.errors import SemTalkError
from semtalk.log import LOG
from semtalk.needs import UNFINISHED, fetchable, missing_table, needs_of, opened
from semtalk.settings.commands import TrainSettings


def fetch_missing(settings: TrainSettings) -> None:
    """Fetch from the hub what settings lack, and say what is left to do by hand.

    Raises:
        SemTalkError: The hub cannot be reached, or does not have it.
    """
    for need in fetchable(needs_of(settings, opened(settings.data))):
        thing = need.thing
        LOG.info(f"Fetching {thing.name} ({thing.size}, {thing.licence})")
        try:
            if thing.hub == "model":
                _bring_model(thing)
            else:
                _bring_corpus(thing, settings)
        except Exception as error:  # of any class of the hub's client and of what it calls
            if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EACCES, errno.EROFS):
                raise
            said = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise SemTalkError(
                f"{thing.name} could not be fetched ({said}); what came is kept, and the same command goes on with it."
            ) from error
    left = needs_of(settings, opened(settings.data))
    done = all(need.here for need in left)
    LOG.info("Everything is here." if done else f"Left to do by hand: {missing_table(left)}")


def _bring_model(thing: Thing) -> None:
    """Fetch a model into the hub's cache.

    Large files come first, each into a part that a further call goes on with: the hub's own client throws parts away.
    """
    from huggingface_hub import HfApi, constants, snapshot_download

    info = HfApi().model_info(thing.name, files_metadata=True)
    blobs = Path(constants.HF_HUB_CACHE) / f"models--{thing.name.replace('/', '--')}" / "blobs"
    for file in info.siblings or []:
        read = not thing.files or any(fnmatch(file.rfilename, pattern) for pattern in thing.files)
        if read and file.lfs and not (blobs / file.lfs.sha256).exists():
            _bring_large(thing.name, info.sha, file.rfilename, file.lfs.size, blobs / file.lfs.sha256)
    snapshot_download(thing.name, allow_patterns=thing.patterns)


def _bring_large(repository: str, commit: str | None, file: str, size: int, place: Path) -> None:
    """Fetch one file to a place that its sha256 names, going on with what an earlier call brought.

    Raises:
        OSError: Something else arrived than was announced.
    """
    from huggingface_hub import hf_hub_url
    from huggingface_hub.file_download import http_get
    from huggingface_hub.utils import build_hf_headers

    place.parent.mkdir(parents=True, exist_ok=True)
    part = place.with_name(f"{place.name}.part")
    with part.open("ab") as out:
        if (there := out.tell()) < size:
            url = hf_hub_url(repository, file, revision=commit)
            http_get(url, out, resume_size=there, headers=build_hf_headers(), expected_size=size)
    with part.open("rb") as content:
        arrived = hashlib.file_digest(content, "sha256").hexdigest()
    if arrived != place.name:
        part.unlink()
        raise OSError(f"{file}: its sha256 is {arrived[:12]}..., {place.name[:12]}... was announced")
    os.replace(part, place)


def _bring_corpus(thing: Thing, settings: TrainSettings) -> None:
    """Fetch the chosen speakers' files of BEAT2 into ``data.root``; those that are there stay."""
    from huggingface_hub import snapshot_download

    root = Path(settings.data.root)
    root.mkdir(parents=True, exist_ok=True)
    (root / UNFINISHED).touch()
    repository, patterns = thing.name.partition(",")[0], corpus_patterns(settings.data.speakers)
    snapshot_download(repository, repo_type="dataset", allow_patterns=patterns, local_dir=root)
    (root / UNFINISHED).unlink()


def corpus_patterns(speakers: list[int] | str) -> list[str]:
    """Patterns of BEAT2's files that speakers need: theirs, the split, and what is of all."""
    if speakers == "all":
        return [f"{FOLDER}/*"]
    return [f"{FOLDER}/*.csv", f"{FOLDER}/weights/*", *(f"{FOLDER}/*/{speaker}_*" for speaker in speakers)]
