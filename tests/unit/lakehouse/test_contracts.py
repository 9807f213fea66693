"""What derives from the contracts agrees with them: JSON Schema, the reference page, the silver tables."""

import json
from dataclasses import replace
from decimal import Decimal

import jsonschema
import pytest
from corpus import RIGHT

from lakehouse.contracts import CONTRACTS
from lakehouse.contracts.base import PRICE
from lakehouse.contracts.json_schema import example, json_schema
from lakehouse.contracts.reference import page
from lakehouse.contracts.spark import all_fields
from lakehouse.settings import CHECKOUT
from lakehouse.tables import BY_PATH


@pytest.mark.parametrize("topic", CONTRACTS)
def test_json_schema_is_valid_and_takes_its_example(topic):
    schema = json_schema(CONTRACTS[topic])
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(example(CONTRACTS[topic]), schema)


def test_json_schema_takes_every_right_record_of_the_corpus():
    for name, topic, value in RIGHT:
        assert jsonschema.Draft202012Validator(json_schema(CONTRACTS[topic])).is_valid(json.loads(value)), name


@pytest.mark.parametrize(
    ("topic", "change"),
    [
        ("transactions", {"total_amount": "39.98"}),
        ("users", {"age": 151}),
        ("products", {"name": None}),
        ("product_views", {"country": "FR"}),
    ],
)
def test_json_schema_refuses(topic, change):
    record = example(CONTRACTS[topic]) | change
    assert not jsonschema.Draft202012Validator(json_schema(CONTRACTS[topic])).is_valid(record)


def test_reference_page_is_up_to_date():
    assert (CHECKOUT / "docs" / "contracts.md").read_text() == page(), "run the command at the top of docs/contracts.md"


@pytest.mark.parametrize("topic", CONTRACTS)
def test_silver_has_every_field_of_the_contract(topic):
    table = BY_PATH[f"silver/{topic}"]
    names = [item.name for item in CONTRACTS[topic].fields]
    assert table.schema.names[: len(names)] == names
    optional = {item.name for item in CONTRACTS[topic].fields if not item.required}
    assert {c.name for c in table.columns if c.nullable} == optional


def test_a_field_name_means_the_same_in_every_contract():
    names = [field.name for field in all_fields(CONTRACTS.values())]
    assert sorted(names) == sorted({field.name for contract in CONTRACTS.values() for field in contract.fields})


def test_a_contract_that_gives_a_name_another_meaning_is_refused():
    price = replace(PRICE, maximum=Decimal(5))
    other = replace(CONTRACTS["products"], topic="other", body=(price,))
    with pytest.raises(ValueError, match=r"other\.price differs"):
        all_fields([CONTRACTS["products"], other])
