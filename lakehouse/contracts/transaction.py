"""The contract of a transaction: one paid order."""

from lakehouse.contracts.base import (
    COUNTRY,
    MONEY_MAX,
    PAYMENT_METHODS,
    PRICE,
    PRODUCT_ID,
    QUANTITY,
    SESSION_ID,
    USER_ID,
    Contract,
    Field,
    Kind,
)

TRANSACTION = Contract(
    topic="transactions",
    event_type="transaction",
    meaning="one paid order; a basket may span categories",
    key_field="user_id",
    business_id="transaction_id",
    sum_field="total_amount",
    body=(
        Field("transaction_id", Kind.TEXT, "the order; unique", example="t-000000000001"),
        USER_ID,
        SESSION_ID,
        Field("cart_id", Kind.TEXT, "the cart that was bought", required=False, example="c-7f3a9c"),
        COUNTRY,
        Field(
            "products",
            Kind.LINES,
            "lines of the order",
            fields=(PRODUCT_ID, QUANTITY, PRICE),
            example=[{"product_id": "p000123", "quantity": 2, "price": 19.99}],
        ),
        Field("total_amount", Kind.MONEY, "sum of quantity x price, USD", minimum=0, maximum=MONEY_MAX, example=39.98),
        Field("payment_method", Kind.TEXT, "how it was paid", values=PAYMENT_METHODS, example="credit_card"),
    ),
)
