"""Published models on the Hugging Face hub: fetched into its cache, and sent."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

from semtalk.catalogue import REPOSITORY, is_repository
from semtalk.errors import SemTalkError
from semtalk.places import is_published
from semtalk.tasks.published import FILES, one_line, refuse_code

T = TypeVar("T")
SECONDS = 10.0
"""After which a hub that does not answer is taken for one that is not there."""
OFFLINE = "the hub cannot be reached (or HF_HUB_OFFLINE says not to), and nothing of it is in the cache"


def located_model(name: str | Path, revision: str | None = None) -> Path:
    """Folder of a run or of a published model; one of the hub is fetched.

    Args:
        name: A folder, or a repository of the hub.
        revision: Branch, tag or commit of a repository; its main branch by default.

    Raises:
        SemTalkError: There is no such repository or revision; it cannot be fetched; or it is no published model.
    """
    if is_repository(name, revision):
        return fetched(str(name), revision)
    if revision is not None:
        said = "a folder here" if Path(name).is_dir() else "no name of a repository, as in org/name"
        raise SemTalkError(f"{name}: revision={revision} is for a model of the hub, and this is {said}.")
    return Path(name)


def fetched(name: str, revision: str | None = None) -> Path:
    """Folder of a repository in the hub's cache, fetched where the hub has it newer and can be reached.

    Nothing but the files of a published model is fetched.

    Raises:
        SemTalkError: See :func:`located_model`.
    """
    from huggingface_hub import HfApi, snapshot_download

    try:
        files = HfApi().model_info(name, revision=revision, timeout=SECONDS).siblings or []
    except Exception as error:  # each version has another client, with exceptions of its own
        said = _not_there(name, revision, error)
        if said:
            raise SemTalkError(said) from error
        files = []  # not reached: what is in the cache was looked at when it was fetched
    refuse_code(name, [one.rfilename for one in files])
    folder = Path(_asked(name, revision, lambda: snapshot_download(name, revision=revision, allow_patterns=[*FILES])))
    if not is_published(folder):
        raise SemTalkError(f"{name}: no published SemTalk model; it has no config.json.")
    return folder


def sent(name: str, files: Mapping[str, Path], message: str, revision: str | None, private: bool | None) -> str:
    """Send the files of a published model in one commit; returns its address.

    Args:
        name: Of the repository, which is made where there is none.
        files: Name -> file. Those of an earlier one that are not among them are taken away.
        message: Of the commit.
        revision: Branch; made from the main one where there is none.
        private: Whether a new repository is.

    Raises:
        SemTalkError: It cannot be reached, or does not let this user write.
    """
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi

    if REPOSITORY.fullmatch(name) is None:
        raise SemTalkError(f"{name}: no name of a repository; give one as in org/name.")
    api = HfApi()

    def send() -> str:
        api.create_repo(name, private=private, exist_ok=True)
        if revision is not None:
            api.create_branch(name, branch=revision, exist_ok=True)
        before = api.list_repo_files(name, revision=revision)
        operations = [CommitOperationAdd(one, str(path)) for one, path in files.items()]
        operations += [CommitOperationDelete(one) for one in FILES if one in before and one not in files]
        return str(api.create_commit(name, operations, commit_message=message, revision=revision).commit_url)

    return _asked(name, revision, send)


def _not_there(name: str, revision: str | None, error: Exception) -> str | None:
    """What is to be said of an answer of the hub; nothing where there was none."""
    from huggingface_hub.errors import GatedRepoError, HFValidationError, RepositoryNotFoundError, RevisionNotFoundError

    if isinstance(error, GatedRepoError):
        return f"{name}: its owner asks for an agreement; accept it on the hub, and say who you are: `hf auth login`."
    if isinstance(error, RepositoryNotFoundError):
        return f"{name}: no such folder here, and no such model on the hub; if it is private, `hf auth login` first."
    if isinstance(error, RevisionNotFoundError) and revision is not None:
        return f"{name}: it has no revision '{revision}'."
    if isinstance(error, HFValidationError):
        return f"{name}: no name of a repository ({one_line(error)})."
    return None


def _asked(name: str, revision: str | None, ask: Callable[[], T]) -> T:
    """Ask the hub; whatever goes wrong is one sentence."""
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        return ask()
    except Exception as error:  # each version has another client, with exceptions of its own
        said = _not_there(name, revision, error)
        status = getattr(getattr(error, "response", None), "status_code", None)
        if said is None and status in (401, 403):
            said = f"{name}: the hub does not let you write there; say who you are: `hf auth login`."
        if said is None and isinstance(error, LocalEntryNotFoundError):
            said = f"{name}: no such folder here; {OFFLINE}."
        if said is None:
            reason = one_line(error) or type(error).__name__
            said = f"{name}: the hub did not do it ({reason}); try again, what is done stays."
        raise SemTalkError(said) from error
