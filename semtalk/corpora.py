"""Corpora on the command line: open, prepare, label. Heavy imports wait until the configuration is sound."""

from pathlib import Path

from semtalk.errors import SemTalkError


def open_corpus(data: dict):
    """Build the reader that a data configuration names."""
    from semtalk.data.beat2 import BEAT2Corpus
    from semtalk.data.sample import SampleCorpus
    from semtalk.data.show import SHOWCorpus

    readers = {"beat2": BEAT2Corpus, "sample": SampleCorpus, "show": SHOWCorpus}
    options = {key: value for key, value in data.items() if key not in ("reader", "store")}
    if data["reader"] not in readers:
        raise SemTalkError(f"data.reader={data['reader']}: choose one of {', '.join(readers)}.")
    return readers[data["reader"]](**options)


def open_store(config: dict, corpus, body, shard: str | None = None):
    """Prepare the corpus, or a share of it, or open what is prepared."""
    from semtalk.data.prepare import parse_shard, prepare

    folder = Path(config["data"]["store"]) / f"{config['data']['name']}_{config['features']['name']}"
    return prepare(corpus, config["features"], body, folder, config["strict"], parse_shard(shard))


def prepare_corpus(config: dict) -> None:
    """Prepare a corpus, or a share of it; say what there is when asked to."""
    corpus = open_corpus(config["data"])

    from semtalk.body import load_body
    from semtalk.data.report import print_report

    store = open_store(config, corpus, load_body(config["body"]["path"]), config["shard"])
    for note in corpus.notes:
        print(note)
    print(f"{len(store.recordings)} of {len(corpus.entries())} recordings are in {store.folder}.")
    if config["report"]:
        print_report(store)


def label_semantics(config: dict) -> None:
    """Label a corpus that has no semantic labels with the gate of a trained run."""
    if config["ckpt"] is None:
        raise SemTalkError("ckpt is not set: give the run whose gate labels, as in ckpt=runs/NAME.")
    if config["data"]["reader"] != "show":
        raise SemTalkError(f"data={config['data']['name']}: it has labels of its own; label data=show.")
    corpus = open_corpus(config["data"])

    from functools import partial

    from rich.progress import track

    from semtalk.generation.label import label_corpus
    from semtalk.generation.speech import SemTalk

    model = SemTalk.from_pretrained(config["ckpt"])
    folder = Path(config["data"]["made"]) / "semantics"
    shares, bad = label_corpus(model, corpus, folder, config["beta"], partial(track, description="Labelling"))
    for entry, reason in bad:
        print(f"  {entry.id}: {reason}")
    if not shares:
        raise SemTalkError("no recording could be labelled.")
    print(f"{len(shares)} recordings labelled in {folder}; {sum(shares.values()) / len(shares):.0%} of their frames.")
