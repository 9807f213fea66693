"""The site builds without a warning, so that every link and anchor leads somewhere; it has every page, and fetches nothing from elsewhere."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import mermaidx
import pytest
from documents import DOCS, PAGES, blocks

from infra.docs_site import MERMAID, ROOT_PAGES, of_root, on_page_markdown
from lakehouse.settings import CHECKOUT

DIAGRAMS = [
    pytest.param(block.text, id=f"{page.stem}-{number}")
    for page in PAGES
    for number, block in enumerate(block for block in blocks(page) if block.language == "mermaid")
]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(out)]
    done = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return out


def test_each_page_is_in_the_site(site: Path) -> None:
    wanted = {str(page.relative_to(DOCS)) for page in DOCS.rglob("*.md")} | set(ROOT_PAGES)
    assert {str(page.relative_to(site)) for page in site.rglob("*.html")} == {
        *(name.replace(".md", ".html") for name in wanted),
        "404.html",
    }


def test_each_decision_is_in_the_list_of_decisions() -> None:
    text = (DOCS / "adr/index.md").read_text("utf-8")
    assert [path.name for path in DOCS.glob("adr/0*.md") if f"]({path.name})" not in text] == []


def test_pages_load_nothing_from_another_host(site: Path) -> None:
    for page in site.rglob("*.html"):
        loaded = re.findall(r'<(?:script|link|img|iframe)\b[^>]*\b(?:src|href)="([^"]+)"', page.read_text("utf-8"))
        assert [url for url in loaded if re.match(r"(https?:)?//", url)] == [], page.name


def test_mermaid_is_part_of_the_site_and_comes_before_the_theme_would_fetch_it(site: Path) -> None:
    assert (site / MERMAID).stat().st_size > 1_000_000
    assert f'src="{MERMAID}"' in (site / "index.html").read_text("utf-8")


@pytest.mark.parametrize("diagram", DIAGRAMS)
def test_each_diagram_is_drawn(diagram: str) -> None:
    assert "<svg" in mermaidx.render(diagram).svg()


@pytest.mark.parametrize("page", [CHECKOUT / "README.md", CHECKOUT / "CONTRIBUTING.md"], ids=lambda page: page.name)
def test_links_of_pages_in_the_root_lead_somewhere(site: Path, page: Path) -> None:
    links = re.findall(r"\]\((?!https?:)([^)\s]+)\)", page.read_text("utf-8"))
    assert links
    for link in links:
        path, _, anchor = link.partition("#")
        assert (CHECKOUT / path).exists(), link
        if anchor:
            built = site / Path(path).relative_to("docs").with_suffix(".html")
            assert f'id="{anchor}"' in built.read_text("utf-8"), link


def test_a_page_of_the_root_points_where_the_site_has_it() -> None:
    assert of_root("[a](docs/a.md#b) [c](infra/c.py) [d](#d) [e](https://e)") == (
        "[a](a.md#b) [c](../infra/c.py) [d](#d) [e](https://e)"
    )


def test_a_link_to_a_source_file_becomes_its_name() -> None:
    assert on_page_markdown("[rules](../infra/c.py), [one](../benchmarks.md#here)") == (
        "rules (`infra/c.py`), [one](../benchmarks.md#here)"
    )
