"""What MkDocs cannot say in `mkdocs.yml`: pages that lie in the checkout's root, links to source files, and Mermaid's own script.

`mkdocs.yml` names it under `hooks`; `make docs` builds the site.
"""

from __future__ import annotations

import re
from importlib.resources import files as package_files
from pathlib import Path
from typing import TYPE_CHECKING

from mkdocs.structure.files import File

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files

ROOT_PAGES = {"contributing.md": "CONTRIBUTING.md", "changelog.md": "CHANGELOG.md"}
"""Pages of the site that readers of the repository look for in its root."""
MERMAID = "assets/mermaid.js"

_SOURCE_LINK = re.compile(r"\[([^\]]+)\]\((?:\.\./)+([^)\s]+)\)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages of the root, and the whole of Mermaid, without which the theme would fetch it from a CDN."""
    for page, source in ROOT_PAGES.items():
        text = Path(config.config_file_path).with_name(source).read_text(encoding="utf-8")
        files.append(File.generated(config, page, content=of_root(text)))
    script = package_files("mermaidx") / "assets" / "mermaid.js"
    files.append(File.generated(config, MERMAID, abs_src_path=str(script)))
    return files


def of_root(text: str) -> str:
    """A page of the root as one of `docs/`: links lose the folder, and links to other files say where these are."""
    text = re.sub(r"\]\((?!https?:|docs/|#)([^)\s]+)\)", r"](../\1)", text)
    return text.replace("](docs/", "](")


def on_page_markdown(markdown: str, **_: object) -> str:
    """Links out of `docs/` become the names of the files: the site has no source code."""
    return _SOURCE_LINK.sub(
        lambda found: found[0] if found[2].split("#")[0].endswith(".md") else f"{found[1]} (`{found[2]}`)", markdown
    )
