"""The contract of a product view: somebody looked at a product's page."""

from lakehouse.contracts.base import COUNTRY, PRODUCT_ID, SESSION_ID, USER_ID, Contract, Field, Kind

PRODUCT_VIEW = Contract(
    topic="product_views",
    event_type="product_view",
    meaning="one look at a product's page",
    key_field="user_id",
    body=(
        USER_ID,
        SESSION_ID,
        COUNTRY,
        PRODUCT_ID,
        Field("device", Kind.TEXT, "kind of device", example="mobile"),
    ),
)
