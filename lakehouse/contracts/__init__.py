"""The contracts of all input records, by topic."""

from lakehouse.contracts.base import Contract
from lakehouse.contracts.cart_event import CART_EVENT
from lakehouse.contracts.inventory_event import INVENTORY_EVENT
from lakehouse.contracts.product import PRODUCT
from lakehouse.contracts.product_view import PRODUCT_VIEW
from lakehouse.contracts.transaction import TRANSACTION
from lakehouse.contracts.user import USER

CONTRACTS: dict[str, Contract] = {
    contract.topic: contract for contract in (TRANSACTION, PRODUCT_VIEW, CART_EVENT, INVENTORY_EVENT, USER, PRODUCT)
}

__all__ = ["CONTRACTS", "Contract"]
