"""The contract of an inventory event: stock changed for another reason than a sale."""

from lakehouse.contracts.base import INT32_MAX, PRODUCT_ID, Contract, Field, Kind

INVENTORY_EVENT = Contract(
    topic="inventory_events",
    event_type="inventory_event",
    meaning="one change of stock that is not a sale",
    key_field="product_id",
    body=(
        PRODUCT_ID,
        Field("change", Kind.INTEGER, "signed units", minimum=-INT32_MAX - 1, maximum=INT32_MAX, example=40),
        Field("reason", Kind.TEXT, "why", values=("restock", "correction", "return"), example="restock"),
    ),
)
