"""Grafana's schema offline: the Foundation SDK's models are generated from it, so a value that does not fit their types does not fit Grafana."""

from __future__ import annotations

import enum
import sys
import types
import typing
from collections.abc import Iterator
from typing import Any


def misfits(value: Any, where: str = "") -> Iterator[str]:
    """Places in an SDK model, as parsed from JSON, whose value is not of the type that the model declares."""
    for name, hint in _hints(type(value)).items():
        yield from _of_type(getattr(value, name), hint, f"{where}.{name}")


def _hints(kind: type) -> dict[str, Any]:
    if not kind.__module__.startswith("grafana_foundation_sdk.models"):
        return {}
    return typing.get_type_hints(kind, vars(sys.modules[kind.__module__]))


def _of_type(value: Any, hint: Any, where: str) -> Iterator[str]:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if hint is object or hint is Any:
        yield from misfits(value, where)
    elif origin in {typing.Union, types.UnionType}:
        tried = {one: list(_of_type(value, one, where)) for one in arguments}
        if all(tried.values()):
            kinds = {one: typing.get_origin(one) or one for one in arguments}
            alike = [tried[one] for one, kind in kinds.items() if isinstance(kind, type) and isinstance(value, kind)]
            yield from alike[0] if alike else [f"{where}: {value!r} is none of {arguments}"]
    elif origin is typing.Literal:
        if value not in arguments:
            yield f"{where}: {value!r} is none of {arguments}"
    elif origin is list:
        if not isinstance(value, list):
            yield f"{where}: {value!r} is no list"
        else:
            for place, inner in enumerate(value):
                yield from _of_type(inner, arguments[0], f"{where}[{place}]")
    elif origin is dict:
        if not isinstance(value, dict):
            yield f"{where}: {value!r} is no object"
    elif isinstance(hint, type) and issubclass(hint, enum.Enum):
        if value not in [one.value for one in hint]:
            yield f"{where}: {value!r} is not in {hint.__name__}"
    elif hint is float:
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            yield f"{where}: {value!r} is no number"
    elif hint is type(None) or isinstance(hint, type):
        if not isinstance(value, hint) or (isinstance(value, bool) and hint is int):
            yield f"{where}: {value!r} is no {hint.__name__}"
        yield from misfits(value, where)
