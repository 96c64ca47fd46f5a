"""What the site shows of files outside docs/: sources that pages link to, and the notebook, as pages of their own."""

import json
import posixpath
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files, InclusionLevel

LINK = re.compile(r"\]\(\.\./([^)#]+\.(?:py|json|toml|yaml))\)")
"""A link of a page to a file of the repository."""
NOTEBOOK = re.compile(r"\]\((\w+)\.ipynb\)")
ROLE = re.compile(r":(?:class|func|meth|attr|mod|data):(?=<code>)")
SOURCES = "source"
"""Folder of the site for them."""


def notebook_page(path: Path) -> str:
    """Cells of a notebook as Markdown, and where it is."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    texts = ["".join(cell["source"]) for cell in cells]
    shown = [
        text if cell["cell_type"] == "markdown" else f"```python\n{text}\n```"
        for cell, text in zip(cells, texts, strict=True)
    ]
    return "\n\n".join([*shown, f"The notebook itself: [{path.name}]({path.name})."])


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Put a page for each linked source, and one for each notebook, among the files."""
    root = Path(config.docs_dir).parent
    linked = {name for file in files.documentation_pages() for name in LINK.findall(file.content_string)}
    for name in sorted(linked):
        text = (root / name).read_text(encoding="utf-8")
        page = f"# {name}\n\n````{posixpath.splitext(name)[1][1:]}\n{text}````\n"
        uri = f"{SOURCES}/{name}.md"
        files.append(File.generated(config, uri, content=page, inclusion=InclusionLevel.NOT_IN_NAV))
    for file in [file for file in files if file.src_uri.endswith(".ipynb")]:
        page = notebook_page(Path(file.abs_src_path))
        files.append(File.generated(config, str(Path(file.src_uri).with_suffix(".md")), content=page))
    return files


def on_page_markdown(markdown: str, page, config: MkDocsConfig, files: Files) -> str:
    """Have links to sources lead to their pages, and those to notebooks too but for a notebook's own."""
    own = Path(page.file.src_uri).stem
    markdown = NOTEBOOK.sub(lambda link: link[0] if link[1] == own else f"]({link[1]}.md)", markdown)
    return LINK.sub(rf"]({SOURCES}/\1.md)", markdown)


def on_page_content(html: str, page, config: MkDocsConfig, files: Files) -> str:
    """Leave out the roles of Sphinx that docstrings name things with."""
    return ROLE.sub("", html)
