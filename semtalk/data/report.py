"""What a prepared corpus holds: hours, takes and words by speaker and split, and what its reader says of that."""

import csv
from collections import Counter

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from semtalk.data.recording import SPLITS, Corpus
from semtalk.data.store import Store


def print_report(store: Store, corpus: Corpus) -> None:
    """Print the table, what the corpus's reader says of its counts, and what was quarantined and why."""
    title = f"{store.folder}, {store.split_name}" if store.split_name else str(store.folder)
    table = Table("speaker", *(f"{split}: hours / takes / words" for split in SPLITS), title=escape(title))
    totals: dict[tuple, Counter] = {}
    for recording in store.recordings:
        for speaker in (recording.info["speaker"], "all"):
            cell = totals.setdefault((speaker, recording.info["split"]), Counter())
            cell.update(hours=recording.info["seconds"] / 3600, takes=1, words=len(recording.words))
    for speaker in [*store.speakers, "all"]:
        cells = [totals.get((speaker, split), Counter()) for split in SPLITS]
        table.add_row(str(speaker), *(f"{c['hours']:.3f} / {c['takes']} / {c['words']}" for c in cells))
    console = Console()
    console.print(table)
    if hasattr(corpus, "report"):
        for line in corpus.report({split: totals.get(("all", split), Counter())["takes"] for split in SPLITS}):
            console.print(line, markup=False, highlight=False)
    listing = store.folder / "quarantine.csv"
    if listing.is_file():
        with listing.open(newline="", encoding="utf-8") as file:
            bad = Table("quarantined", "reason")
            for row in csv.DictReader(file):
                bad.add_row(escape(row["id"]), escape(row["reason"]))
        console.print(bad)
