"""docs/configuration.md and the JSON schemas for editors: ``python -m semtalk.settings.page`` writes them anew."""

import json
from collections.abc import Iterator
from pathlib import Path

from pydantic import BaseModel

from semtalk.settings.check import described, fields_of, models_of
from semtalk.settings.commands import COMMANDS, Command

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "configuration.md"
SCHEMAS = ROOT / "docs" / "schema"
HEAD = """# Every key

`python train.py KEY=VALUE`, and so for the other commands; the values are in `configs/`. This page is made from
`semtalk/settings` (`python -m semtalk.settings.page`), which refuses any other value in one sentence. Editors find JSON
schemas in `docs/schema`.
"""


def rows_of(model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, str, str]]:
    """Key, what it takes, and what it means, of a model and of what it holds."""
    for name, field in fields_of(model).items():
        key = prefix + name
        inner = models_of(field.annotation)
        if len(inner) == 1 and not described(field.annotation).startswith("a list"):
            yield from rows_of(inner[0], f"{key}.")
        elif not inner:
            yield key, described(field.annotation, field.metadata), field.description or "Weight of a loss."
        elif described(field.annotation).startswith("a list"):
            links = ", ".join(f"{link}: {one.description}" for link, one in fields_of(inner[0]).items())
            yield key, "a list of groups", f"{field.description} ({links})"


def table(rows: list[tuple[str, str, str]]) -> str:
    """Rows as a table in Markdown."""
    lines = ["| key | takes | meaning |", "| --- | --- | --- |"]
    return "\n".join([*lines, *(f"| `{key}` | {takes} | {' '.join(said.split())} |" for key, takes, said in rows)])


def page() -> str:
    """The page: what every command takes, each corpus's own keys, and each command's."""
    shared = list(rows_of(Command))
    parts = [HEAD, "## Of every command\n", table(shared)]
    for model in models_of(Command.model_fields["data"].annotation):
        parts += [f"\n## `data`: {model.__doc__}\n", table(list(rows_of(model, "data.")))]
    for name, model in COMMANDS.items():
        own = [row for row in rows_of(model) if row not in shared]
        parts += [f"\n## {model.__doc__.strip('.')}: `configs/{name}.yaml`\n", table(own)]
    return "\n".join(parts) + "\n"


def schemas() -> dict[Path, str]:
    """File -> JSON schema of a command."""
    return {
        SCHEMAS / f"{name}.json": json.dumps(model.model_json_schema(), indent=1) + "\n"
        for name, model in COMMANDS.items()
    }


def main() -> None:
    """Write the page and the schemas."""
    SCHEMAS.mkdir(parents=True, exist_ok=True)
    for path, text in {PAGE: page(), **schemas()}.items():
        path.write_text(text, encoding="utf-8")
        print(path)


if __name__ == "__main__":
    main()
