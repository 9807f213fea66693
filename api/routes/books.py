"""GET /v1/books and /v1/quarantine: what the ledger knows of records and money up to the cut, and what is in quarantine."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any

import pyarrow as pa
from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from api import formats
from api.deps import AccessDep, GenerationDep
from api.errors import NotFoundError
from api.problems import responses
from api.responses import Listing, Money
from api.routes.rates import Topic
from api.serving import Generation
from lakehouse.tables import LEDGER_STREAMING, ORDERS_BY_MINUTE, QUARANTINE, SALES_BY_MINUTE, TIME

router = APIRouter(tags=["operations"])


class PartitionCut(BaseModel):
    """How far one Kafka partition is in the lake."""

    topic: str = Field(description="Kafka topic.", examples=["transactions"])
    partition: int = Field(description="Partition.", examples=[0])
    next_offset: int = Field(description="First offset that is not in the lake yet.", examples=[30])


class RecordSums(BaseModel):
    """Records of the micro-batches of the last 48 hours."""

    batch_count: int = Field(description="Micro-batches.", examples=[2])
    record_count: int = Field(description="Records taken from Kafka.", examples=[30])
    accepted_count: int = Field(description="Of these, to silver.", examples=[26])
    quarantined_count: int = Field(description="Of these, to quarantine.", examples=[3])
    duplicate_count: int = Field(description="Of these, duplicates.", examples=[1])
    is_balanced: bool = Field(description="Whether the three add up to all records, in each batch.")


class MoneySums(BaseModel):
    """Money of gold at the versions of the cut: orders and their lines must agree to the cent."""

    orders_by_minute: Money = Field(description="Revenue of all orders, USD.", examples=[225.09])
    sales_by_minute: Money = Field(description="Revenue of all order lines, USD.", examples=[225.09])
    is_balanced: bool = Field(description="Whether they agree.")


class Books(BaseModel):
    """The books up to the cut, as far as the ledger knows them."""

    is_balanced: bool = Field(description="Whether records and money agree.")
    batch_id: int = Field(description="The last micro-batch that every sink has committed: the cut.", examples=[2])
    cut_at: datetime = Field(description="When its last sink had committed (UTC).", examples=["2026-03-14T11:00:02Z"])
    records: RecordSums
    money: MoneySums | None = Field(
        description="Null while the serving files lag behind the cut, or after older versions were folded."
    )
    in_flight: dict[str, int] = Field(
        description="By topic, records that Kafka had and the lake had not when the cut was made.",
        examples=[{"transactions": 3}],
    )
    partitions: list[PartitionCut] = Field(description="How far each partition is in the lake.")
    table_version: int = Field(description="Version of `ops/ledger_streaming` that this is made from.")
    known_at: datetime = Field(description="When that version was known (UTC).")


@router.get(
    "/v1/books",
    summary="The books up to the cut",
    response_description="The books",
    response_model=Books,
    responses={**responses("not-found", "table-missing", "not-ready", "query-limit"), **formats.OPENAPI_ONE},
)
def books(request: Request, generation: GenerationDep) -> Response:
    """Where every record ended, and whether gold's money agrees, by the streaming ledger.

    This asks the ledger and is cheap. The proof itself, record by record from Kafka to gold, is `globalmart prove`.
    """
    meta = generation.meta(LEDGER_STREAMING)
    found = generation.query(
        """SELECT batch_id, committed_at, next_offsets, table_versions, lag_records FROM ledger_streaming
           ORDER BY batch_id DESC LIMIT 1"""
    )
    if not found:
        raise NotFoundError("The ledger is empty: nothing has been streamed yet.")
    batch_id, cut_at, offsets, versions, lag = found[0]
    ((batches, records, accepted, quarantined, duplicates, unequal),) = generation.query(
        """SELECT count(*), sum(record_count)::BIGINT, sum(accepted_count)::BIGINT, sum(quarantined_count)::BIGINT,
                  sum(duplicate_count)::BIGINT,
                  count(*) FILTER (WHERE record_count <> accepted_count + quarantined_count + duplicate_count)
           FROM ledger_streaming"""
    )
    counts = RecordSums(
        batch_count=batches,
        record_count=records,
        accepted_count=accepted,
        quarantined_count=quarantined,
        duplicate_count=duplicates,
        is_balanced=unequal == 0,
    )
    money = _money(generation, dict(versions or {}))
    return formats.respond_one(
        request,
        Books(
            is_balanced=counts.is_balanced and (money is None or money.is_balanced),
            batch_id=batch_id,
            cut_at=cut_at.replace(tzinfo=UTC),
            records=counts,
            money=money,
            in_flight=dict(lag or {}),
            partitions=[_cut(name, offset) for name, offset in sorted(offsets.items())],
            table_version=meta.delta_version,
            known_at=meta.known_at.replace(tzinfo=UTC),
        ),
        meta,
    )


def _cut(name: str, offset: int) -> PartitionCut:
    topic, _, partition = name.rpartition("/")
    return PartitionCut(topic=topic, partition=int(partition), next_offset=offset)


def _money(generation: Generation, versions: dict[str, int]) -> MoneySums | None:
    sums: list[Decimal] = []
    for table in (ORDERS_BY_MINUTE, SALES_BY_MINUTE):
        meta, version = generation.metas.get(table.name), versions.get(table.path)
        if meta is None or version is None or not meta.loaded_version <= version <= meta.delta_version:
            return None
        sql = f"SELECT coalesce(sum(revenue), 0)::DECIMAL(38, 2) FROM {generation.rows(table, version)}"  # noqa: S608
        sums.append(generation.query(sql)[0][0])
    return MoneySums(orders_by_minute=sums[0], sales_by_minute=sums[1], is_balanced=sums[0] == sums[1])


class QuarantineQuery(BaseModel):
    model_config = ConfigDict(extra="forbid")

    topic: list[Topic] = Field([], description="Only these topics; repeat for several.", examples=[["transactions"]])
    reason: list[str] = Field(
        [], max_length=100, description="Only these reasons; repeat for several.", examples=[["price_scale"]]
    )


class QuarantineGroup(BaseModel):
    """Records of one topic in quarantine for one reason; a record with two reasons counts under both."""

    topic: str = Field(description="Kafka topic.", examples=["transactions"])
    reason: str = Field(description="Id of the rule that is broken.", examples=["price_scale"])
    record_count: int = Field(description="Records.", examples=[2])
    first_at: datetime = Field(description="Kafka time of the first (UTC).", examples=["2026-03-14T10:01:00Z"])
    last_at: datetime = Field(description="Kafka time of the last (UTC).", examples=["2026-03-14T10:02:00Z"])
    last_partition: int = Field(description="Where the last one is: partition.", examples=[0])
    last_offset: int = Field(description="Where the last one is: offset.", examples=[2])


class QuarantineList(Listing[QuarantineGroup]):
    """All groups; there is always one page."""


_GROUP = pa.schema(
    [("topic", pa.string()), ("reason", pa.string()), ("record_count", pa.int64()), ("first_at", TIME), ("last_at", TIME),
     ("last_partition", pa.int32()), ("last_offset", pa.int64())]
)  # fmt: skip


@router.get(
    "/v1/quarantine",
    summary="What is in quarantine",
    response_description="The groups",
    response_model=QuarantineList,
    responses={
        **responses("not-acceptable", "invalid-request", "table-missing", "not-ready", "query-limit"),
        **formats.OPENAPI,
    },
)
def quarantine(
    request: Request, generation: GenerationDep, access: AccessDep, query: Annotated[QuarantineQuery, Query()]
) -> Response:
    """Records of the last seven days that break their contract, by topic and reason, most first.

    The records themselves hold what customers sent, so they are shown by `globalmart quarantine` only.
    """
    meta = generation.meta(QUARANTINE)

    def answer() -> formats.Sheet:
        where, parameters = ["true"], list[Any]()
        for column, values in (("topic", query.topic), ("reason", query.reason)):
            if values:
                where.append(f"{column} IN ({', '.join('?' * len(values))})")
                parameters += values
        rows = generation.query(
            f"""SELECT topic, reason, count(*), min(kafka_at), max(kafka_at),
                       max_by("partition", (kafka_at, "offset")), max_by("offset", (kafka_at, "offset"))
                FROM (SELECT *, unnest(reason_codes) AS reason FROM quarantine) WHERE {" AND ".join(where)}
                GROUP BY topic, reason ORDER BY count(*) DESC, topic, reason""",  # noqa: S608
            parameters,
        )
        return formats.Sheet(_GROUP, rows, None, meta.delta_version, meta.known_at.replace(tzinfo=UTC))

    return formats.respond(request, access, meta, meta.delta_version, answer)
