"""`python -m ingestion`: the generator's command without the rest of `globalmart`."""

from __future__ import annotations

import typer

from ingestion.command import EPILOG, generate

if __name__ == "__main__":
    app = typer.Typer(add_completion=False)
    app.command(epilog=EPILOG)(generate)
    app()
