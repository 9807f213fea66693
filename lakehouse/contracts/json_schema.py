"""JSON Schema (2020-12) of each record, for producers in other languages. Derived from the contract."""

from __future__ import annotations

from typing import Any

from lakehouse.contracts.base import INT32_MAX, TIME_PATTERN, UUID_PATTERN, Contract, Field, Kind


def json_schema(contract: Contract) -> dict[str, Any]:
    """The schema of one record. What it cannot say (decimals of a token, sums, identity, Kafka time) is in the rules."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": contract.event_type,
        "description": f"{contract.meaning}; topic `{contract.topic}`, key `{contract.key_field}`",
        **_object(contract.fields),
        "examples": [example(contract)],
    }


def example(contract: Contract) -> dict[str, Any]:
    """A valid record."""
    return {item.name: item.example for item in contract.fields}


def _object(fields: tuple[Field, ...]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {item.name: {"description": item.meaning, **_schema(item)} for item in fields},
        "required": [item.name for item in fields if item.required],
        "additionalProperties": True,
    }


def _schema(item: Field) -> dict[str, Any]:
    schema = _type(item)
    return schema if item.required else {"anyOf": [schema, {"type": "null"}]}


def _type(item: Field) -> dict[str, Any]:
    if item.kind is Kind.LINES:
        return {"type": "array", "minItems": 1, "items": _object(item.fields)}
    if item.kind is Kind.TEXTS:
        return {"type": "array", "items": {"type": "string"}}
    if item.kind is Kind.UUID:
        return {"type": "string", "pattern": UUID_PATTERN}
    if item.kind is Kind.TIME:
        return {"type": "string", "format": "date-time", "pattern": TIME_PATTERN}
    if item.kind is Kind.TEXT:
        return {"type": "string", "enum": list(item.values)} if item.values else {"type": "string", "minLength": 1}
    limits = {
        "minimum": int(item.minimum) if item.minimum is not None else -INT32_MAX - 1,
        "maximum": float(item.maximum) if item.kind is not Kind.INTEGER and item.maximum is not None else item.maximum,
    }
    if item.kind is Kind.INTEGER:
        return {"type": "integer", **limits}
    return {"type": "number", **limits}
