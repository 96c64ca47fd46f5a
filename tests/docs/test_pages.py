"""README and docs/: every page is in the site's list, and what they link to and name is there."""

import re
import shlex
import unicodedata

import pytest
import yaml
from conftest import COMMANDS, ROOT

from semtalk.settings import compose

SITE = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))
PAGES = sorted((ROOT / "docs").glob("*.md"))
WRITTEN = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *PAGES, *sorted((ROOT / "docs").glob("*.ipynb"))]
GROUPS = "stage|data|model|features|recipe|trainer|speed|logger|experiment"


def listed(nav) -> list[str]:
    """Pages of a site's list, however deep."""
    if isinstance(nav, str):
        return [nav]
    return [page for one in (nav.values() if isinstance(nav, dict) else nav) for page in listed(one)]


def anchors(path) -> set[str]:
    """Anchors of a page's headings that lead to the same place on GitHub and on the site."""
    text = re.sub(r"(?ms)^```.*?^```$", "", path.read_text(encoding="utf-8"))
    found: dict[str, int] = {}
    for heading in re.findall(r"(?m)^#+ (.*)$", text):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)|[`*]", r"\1", heading).strip().lower()
        github = re.sub(r"[^\w\- ]", "", plain).replace(" ", "-")
        ascii_only = unicodedata.normalize("NFKD", plain).encode("ascii", "ignore").decode()
        site = re.sub(r"[-\s]+", "-", re.sub(r"[^\w\s-]", "", ascii_only).strip())
        if github == site:
            found[site] = found.get(site, 0) + 1
    return {name for name, count in found.items() if count == 1}


def links(path) -> list[tuple[str, str]]:
    """Links within the repository: file and anchor."""
    text = path.read_text(encoding="utf-8")
    text = text if path.suffix == ".ipynb" else re.sub(r"(?ms)^```.*?^```$", "", text)
    targets = re.findall(r"\]\(([^)\s]+)\)", text)
    return [tuple(f"{target}#".split("#")[:2]) for target in targets if not target.startswith("http")]


def test_every_page_is_in_the_sites_list_once():
    names = listed(SITE["nav"])
    notebooks = {path.with_suffix(".md").name for path in (ROOT / "docs").glob("*.ipynb")}
    assert sorted(names) == sorted([*(path.name for path in PAGES), *notebooks])


@pytest.mark.parametrize("path", WRITTEN, ids=lambda path: path.name)
def test_links_lead_somewhere(path):
    for target, anchor in links(path):
        file = (path.parent / target) if target else path
        assert file.exists() and not file.is_dir(), f"{path.name}: {target}"
        assert not anchor or anchor in anchors(file), f"{path.name}: {target}#{anchor}"


def test_links_of_pages_lead_to_pages_or_to_files_that_the_site_can_show():
    for path in PAGES:
        for target, _ in links(path):
            assert not target.startswith("../") or target.endswith((".py", ".json", ".toml", ".yaml")), target


@pytest.mark.parametrize("path", WRITTEN, ids=lambda path: path.name)
def test_pages_name_only_what_exists(path):
    text = re.sub(r"(?ms)^```python$.*?^```$", "", path.read_text(encoding="utf-8"))
    for script in set(re.findall(r"python ((?:\w+/)*\w+\.py)", text)):
        assert (ROOT / script).is_file(), script
    for group, option in set(re.findall(rf"(?<![\w.])({GROUPS})=(\w+)", text)):
        own = {path.stem for path in (ROOT / "examples" / "configs" / group).glob("*.yaml")}
        there = {path.stem for path in (ROOT / "configs" / group).glob("*.yaml")}
        assert option in there | own or option.isupper(), f"{path.name}: {group}={option}"
    for target in set(re.findall(r"`make ([\w-]+)`|^make ([\w-]+)", text, flags=re.M)):
        assert re.search(rf"(?m)^{''.join(target)}:", (ROOT / "Makefile").read_text()), target


def commands() -> list[tuple[str, ...]]:
    """Words of the pages' commands, each once; sweeps are left out, and extending.md, which is run by another test."""
    found = []
    for path in WRITTEN:
        for block in re.findall(r"(?ms)^```bash\n(.*?)^```$", path.read_text(encoding="utf-8")):
            block = block.replace("\\\n", "")
            lines = [line for line in block.splitlines() if re.search(r"python (scripts/)?\w+\.py ", line)]
            for words in (shlex.split(line, comments=True) for line in lines):
                words = words[next(index for index, word in enumerate(words) if word.endswith("python")) + 1 :]
                if words[0] in COMMANDS and "-m" not in words and path.name != "extending.md":
                    found.append(tuple(words))
    return list(dict.fromkeys(found))


@pytest.mark.parametrize("words", commands(), ids=" ".join)
def test_commands_of_pages_have_keys_and_values_that_there_are(words):
    one = (re.sub(r"^seeds=\[(\d+)[\d,]*\]$", r"seed=\1", word) for word in words[1:])  # the first of its runs
    assert compose(COMMANDS[words[0]][1], *one).name


def test_the_readme_is_short_and_begins_with_a_voice_that_becomes_motion():
    from PIL import Image

    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 70
    first = "\n".join(text.splitlines()[:12])
    assert "https://arxiv.org/abs/2412.16563" in first
    (picture,) = re.findall(r"!\[[^\]]*\]\(([^)]*)\)", first)
    with Image.open(ROOT / picture) as shown:
        assert shown.n_frames > 60 and (ROOT / picture).stat().st_size < 1.5e6
    commands, python = re.findall(r"```(?:bash|python)\n(.*?)```", text, flags=re.S)
    assert [shlex.split(line, comments=True)[0] for line in commands.splitlines()] == ["make", ".venv/bin/python"]
    assert len([line for line in python.splitlines() if line]) == 3
    assert "`make test`" in text
    table = re.search(r"(?m)(^\|.*\n)+", text).group()
    assert "| SemTalk |" in table and table in (ROOT / "docs" / "index.md").read_text(encoding="utf-8")


def test_what_builds_the_site_is_pinned():
    pinned = {line.split("==")[0].lower() for line in (ROOT / "constraints.txt").read_text().splitlines()}
    extra = re.search(r"(?m)^docs = \[(.*)\]$", (ROOT / "pyproject.toml").read_text()).group(1)
    assert {re.match(r'"([\w-]+)', one.strip()).group(1) for one in extra.split(", ")} <= pinned
    assert "mkdocs build --strict" in (ROOT / "Makefile").read_text()
    assert "make docs" in (ROOT / ".github" / "workflows" / "ci.yml").read_text()
