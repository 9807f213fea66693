"""The commands `globalmart dashboards`: making Grafana's files. Wording and exit codes only."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import orjson
import typer

from infra.dashboards.build import MOUNT, boards
from infra.dashboards.build import build as build_files
from lakehouse.settings import load_settings

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    help="Grafana's dashboards over the PostgreSQL mirror: built from code, never edited by hand.",
)

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


@app.callback()
def _group() -> None:
    """A callback keeps `build` a word of its own while it is the only command."""


@app.command(epilog="Example: globalmart dashboards build --out /srv/grafana")
def build(
    out: Annotated[Path | None, typer.Option(help="Folder to write; default: `grafana/` in the state folder.")] = None,
    mount: Annotated[str, typer.Option(help="Where the Grafana server sees that folder.")] = MOUNT,
    as_json: Json = False,
) -> None:
    """Write dashboards, data source, alert rules and server settings; what was built there before is replaced."""
    settings = load_settings()
    folder = out or settings.grafana_dir
    made = build_files(settings, folder, mount)
    if as_json:
        names = {board.uid: board.title for board in boards()}
        body = {"folder": str(folder), "files": [str(path.relative_to(folder)) for path in made], "dashboards": names}
        print(orjson.dumps(body, option=orjson.OPT_INDENT_2).decode())
        return
    for path in made:
        print(f"  {path.relative_to(folder)}")
    print(f"{len(made)} files for Grafana are in {folder}; docs/dashboards.md says how a server gets them.")
