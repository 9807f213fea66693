"""The data source: the PostgreSQL mirror, which Grafana only reads; and queries to it as the Foundation SDK sees them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, Self

from grafana_foundation_sdk.cog import builder, runtime, variants
from grafana_foundation_sdk.models.dashboard import DataSourceRef

Format = Literal["table", "time_series"]

KIND = "grafana-postgresql-datasource"
UID = "globalmart-mirror"
SOURCE = DataSourceRef(type_val=KIND, uid=UID)


@dataclass
class SqlQuery(variants.Dataquery):
    """A query written as SQL. The SDK has no type for PostgreSQL's; the fields are those that Grafana's own editor saves."""

    raw_sql: str
    format_as: Format
    ref_id: str = "A"

    def to_json(self) -> dict[str, object]:
        return {
            "datasource": SOURCE,
            "editorMode": "code",
            "format": self.format_as,
            "rawQuery": True,
            "rawSql": self.raw_sql,
            "refId": self.ref_id,
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        return cls(data["rawSql"], data["format"], data["refId"])


class Sql(builder.Builder[SqlQuery]):
    """Builds a SqlQuery. `time_series` wants a column `time`, and `metric` where there are several series."""

    def __init__(self, raw_sql: str, format_as: Format = "table", ref_id: str = "A") -> None:
        self._query = SqlQuery("\n".join(line.rstrip() for line in raw_sql.strip().splitlines()), format_as, ref_id)

    def build(self) -> SqlQuery:
        return self._query


runtime.register_dataquery_variant(runtime.DataqueryConfig(KIND, SqlQuery.from_json))
