"""External assets: Kafka's topics and the tables that the streaming service writes. Dagster shows and checks them, and never writes them."""

from __future__ import annotations

import dagster as dg

from lakehouse.contracts import CONTRACTS
from lakehouse.tables import TABLES
from orchestration.naming import attributes, topic_key


@dg.definitions
def external() -> dg.Definitions:
    topics = [
        dg.AssetSpec(
            topic_key(topic),
            group_name="kafka",
            owners=["team:streaming"],
            kinds={"kafka"},
            description=f"Kafka topic: one record is {contract.meaning}.",
        )
        for topic, contract in CONTRACTS.items()
    ]
    tables = [
        dg.AssetSpec(**attributes(table), kinds={"deltalake", table.layer} if table.layer != "ops" else {"deltalake"})
        for table in TABLES
        if table.owner == "streaming"
    ]
    return dg.Definitions(assets=[*topics, *tables])
