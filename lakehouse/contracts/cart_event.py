"""The contract of a cart event: a product was put into a cart or taken out."""

from lakehouse.contracts.base import COUNTRY, PRICE, PRODUCT_ID, QUANTITY, SESSION_ID, USER_ID, Contract, Field, Kind

CART_EVENT = Contract(
    topic="cart_events",
    event_type="cart_event",
    meaning="one change of a cart",
    key_field="user_id",
    body=(
        USER_ID,
        SESSION_ID,
        Field("cart_id", Kind.TEXT, "the cart", example="c-7f3a9c"),
        COUNTRY,
        Field("action", Kind.TEXT, "what was done", values=("add", "remove"), example="add"),
        PRODUCT_ID,
        QUANTITY,
        PRICE,
    ),
)
