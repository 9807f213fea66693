"""The command `globalmart maintain`: the batch side's maintenance now instead of at its hour. Wording only."""

from __future__ import annotations

from datetime import UTC, datetime

EPILOG = "Example: globalmart maintain"


def maintain() -> None:
    """Compact, sort and sweep dimensions, facts and marts, and note the size of every table in ops/table_sizes.

    It takes the batch lease, so it waits while a batch run is under way. Streaming tables are kept by the streaming service.
    """
    from lakehouse.settings import load_settings
    from lakehouse.upkeep import run, sentence

    done, sizes = run(load_settings("batch"), datetime.now(UTC))
    for one in done:
        print(sentence(one))
    print(f"{sizes.num_rows} tables measured, {sum(sizes['byte_count'].to_pylist()) / 2**20:,.1f} MiB in all.")
