"""Opens what settings name: the reader of a corpus, and its store."""

from collections.abc import Iterable
from pathlib import Path

from semtalk.data.recording import Entry
from semtalk.errors import SemTalkError
from semtalk.settings.commands import Command
from semtalk.settings.inputs import READERS, Corpus, Features, Slots
from semtalk.swap import named


def open_corpus(data: Corpus):
    """Build the reader that the settings of a corpus name.

    Returns:
        A :class:`semtalk.data.recording.Corpus`.

    Raises:
        SemTalkError: There is no such reader, or it does not take the keys.
    """
    reader = named("data.reader", READERS.get(data.reader, data.reader))
    options = {key: value for key, value in dict(data).items() if key not in ("reader", "store", "licence")}
    try:
        return reader(**options)
    except TypeError as error:
        raise SemTalkError(f"data={data.name}: its keys do not fit the reader {data.reader} ({error}).") from error


def store_folder(stores: str | Path, corpus: str, features: Features) -> Path:
    """Where a corpus of this name is prepared with some features, below the folder of all stores."""
    return Path(stores) / f"{corpus}_{features.name}"


def prepared_slots(settings: Command, entries: Iterable[Entry]) -> set[str]:
    """Feature slots whose files are there for all recordings but bad ones: no encoder is needed for them.

    They are told by their names alone. Where one turns out to be of other settings, preparation asks for its encoder.
    """
    folder = store_folder(settings.data.store, settings.data.name, settings.features)
    good = [entry.id for entry in entries if not (folder / f"{entry.id}.bad.json").is_file()]
    return {
        slot for slot in Slots.model_fields if all((folder / f"{one}.{slot}.safetensors").is_file() for one in good)
    }


def open_store(settings: Command, corpus, body, shard: str | None = None):
    """Prepare a corpus, or a share of it, or open what is prepared."""
    from semtalk.data.preparation import parse_shard, prepare

    folder = store_folder(settings.data.store, settings.data.name, settings.features)
    return prepare(corpus, settings.features, body, folder, settings.strict, parse_shard(shard))
