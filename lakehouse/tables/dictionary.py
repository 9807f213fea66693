"""The data dictionary, `docs/data-dictionary.md`: `python -m lakehouse.tables.dictionary > docs/data-dictionary.md`.

Where each thing is described, and the columns of all tables that are not on the page of the warehouse.
"""

from __future__ import annotations

from lakehouse.tables import TABLES
from lakehouse.tables.base import Table
from lakehouse.tables.reference import section, warehouse

_HEAD = """# Data dictionary

Made from `lakehouse/tables/` by `python -m lakehouse.tables.dictionary > docs/data-dictionary.md`; a test fails when it is out of date. Every field,
column, word and figure is described once, next to the code that makes it.

| what | where | made from |
|---|---|---|
| fields of the records on Kafka, their types and limits, every rule with its id | [records on Kafka](contracts.md) | `lakehouse/contracts/` |
| columns, grain and key of dimensions, facts and marts, each figure's definition with its source | [warehouse](warehouse.md) | `lakehouse/marts/` |
| columns of the other tables | below | `lakehouse/tables/` |
| topics `detections` and `live_events` | [streaming](streaming.md#detections) | `lakehouse/findings.py` |
| notices on the topic `alerts` | [alerts](alerts.md#forms) | `api/desk/notices.py` |
| answers of the API, with examples | [API guide](api-guide.md), and `/docs` on the running API | `api/routes/` |
| panels of the dashboards and the tables that each reads | [dashboards](dashboards.md) | `infra/dashboards/` |
| settings | [configuration](configuration.md) | `lakehouse/settings.py` |
| words, suffixes, units | [naming](naming.md) | |

Times are UTC, money is USD. Every table is below the lake's root
(`GLOBALMART_LAKE_URI`) under the path that is its title here, and `globalmart read` shows rows of it.
"""


def page() -> str:
    """The whole page as Markdown."""
    return "\n".join([_HEAD, *(section(table) for table in others())])


def others() -> list[Table]:
    """The tables that this page describes: those of the streaming service, and those of ops."""
    return [table for table in TABLES if table not in warehouse()]


if __name__ == "__main__":
    print(page(), end="")
