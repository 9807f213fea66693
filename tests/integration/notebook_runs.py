"""A notebook run from its first cell to its last in a kernel of its own, and what it showed. Nothing is written back."""

from __future__ import annotations

import os
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbformat import NotebookNode

from lakehouse.settings import CHECKOUT

FOLDER = CHECKOUT / "notebooks"
NOTEBOOKS = sorted(path.stem for path in FOLDER.glob("*.ipynb"))


def read(name: str) -> NotebookNode:
    return nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)


def run(name: str, environment: dict[str, str], seconds: int = 180) -> NotebookNode:
    """The notebook with its outputs; raises CellExecutionError at the first cell that fails."""
    book = read(name)
    client = NotebookClient(book, timeout=seconds, kernel_name="python3", resources={"metadata": {"path": str(FOLDER)}})
    client.execute(env={**os.environ, "PYTHONPATH": str(CHECKOUT), **environment})
    return book


def shown(book: NotebookNode) -> str:
    """All text that the cells printed or gave, tables and descriptions of charts among it."""
    outputs = [output for cell in book.cells for output in cell.get("outputs", [])]
    return "\n".join(
        one["text"] if one.output_type == "stream" else one["data"].get("text/plain", "") for one in outputs
    )


def pictures(book: NotebookNode) -> list[str]:
    """The charts, as SVG."""
    outputs = [output for cell in book.cells for output in cell.get("outputs", [])]
    return [one["data"]["image/svg+xml"] for one in outputs if "image/svg+xml" in one.get("data", {})]


def settings_of(lake: Path, jars_dir: Path, state: Path) -> dict[str, str]:
    """The environment of a lake on files; no server answers."""
    return {
        "GLOBALMART_ENV_FILE": str(state / "none.env"),
        "GLOBALMART_STATE_DIR": str(state),
        "GLOBALMART_LAKE_URI": lake.as_uri(),
        "GLOBALMART_JARS_DIR": str(jars_dir),
        "GLOBALMART_SPARK_MASTER": "local[1]",
        "GLOBALMART_API_URL": "http://127.0.0.1:9",
        "GLOBALMART_KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:9",
    }
