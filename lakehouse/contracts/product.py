"""The contract of a product change: a product was listed or changed."""

from lakehouse.contracts.base import INT32_MAX, PRICE, PRODUCT_ID, Contract, Field, Kind

PRODUCT = Contract(
    topic="products",
    event_type="product",
    meaning="one listing or change of a product",
    key_field="product_id",
    body=(
        PRODUCT_ID,
        Field("name", Kind.TEXT, "display name", example="Cordless drill 18 V"),
        Field("category", Kind.TEXT, "category name", example="Power Tools"),
        PRICE,
        Field(
            "inventory",
            Kind.INTEGER,
            "opening stock on the first record, informative afterwards, units",
            minimum=0,
            maximum=INT32_MAX,
            example=250,
        ),
        Field("ratings", Kind.NUMBER, "mean rating", minimum=0, maximum=5, example=4.3),
    ),
)
