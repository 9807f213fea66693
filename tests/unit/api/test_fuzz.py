"""Generated requests, right and wrong ones: no error of ours, no undocumented status, no answer that breaks its schema."""

from __future__ import annotations

import math
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from fastapi import FastAPI
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import Case, GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from api.app import create_app

from .conftest import HEADERS, settings_in

# The stream does not end by itself. Alerts are away without PostgreSQL, and nothing is ready without a refresher: 503.
ENDLESS, AWAY = "/v1/live/stream", ("/v1/alerts", "/ready")
CHECKS = [status_code_conformance, content_type_conformance, response_schema_conformance]


@pytest.fixture
def app(template: Path, tmp_path: Path) -> Iterator[FastAPI]:
    shutil.copytree(template, tmp_path, dirs_exist_ok=True)
    found = create_app(settings_in(tmp_path).model_copy(update={"api_requests_per_second": 1_000_000}))
    with TestClient(found):
        yield found


def well(status: int, path: str) -> bool:
    return status < 500 or (status == 503 and path.startswith(AWAY))


def fuzz(app: FastAPI, cases: int) -> int:
    """Ask `cases` times, as often each operation; the number of answers."""
    schema = schemathesis.openapi.from_asgi("/openapi.json", app)
    operations = [one for one in (result.ok() for result in schema.get_all_operations()) if one.path != ENDLESS]
    modes = (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)
    each = math.ceil(cases / len(operations) / len(modes))
    answers = 0

    def check(case: Case) -> None:
        nonlocal answers
        response = case.call(headers=HEADERS)
        assert well(response.status_code, case.path), response.text
        case.validate_response(response, checks=CHECKS)
        answers += 1

    for operation in operations:
        for mode in modes:
            run = settings(
                max_examples=each, deadline=None, derandomize=True, database=None, phases=[Phase.generate],
                suppress_health_check=list(HealthCheck),
            )  # fmt: skip
            try:
                run(given(case=operation.as_strategy(generation_mode=mode))(check))()
            except Unsatisfiable:
                assert mode is GenerationMode.NEGATIVE, operation.label  # nothing about it can be wrong
    return answers


def follow(app: FastAPI, walks: int) -> set[str]:
    """Walk along the links of the OpenAPI document, some requests a walk; the operations that were come to by a link."""
    schema = schemathesis.openapi.from_asgi("/openapi.json", app)
    schema.config.generation.update(modes=[GenerationMode.POSITIVE])  # wrong requests lead nowhere
    machine = schema.exclude(path=ENDLESS).as_state_machine()
    reached: set[str] = set()

    class Walk(machine):  # type: ignore[misc, valid-type]
        def get_call_kwargs(self, case: Case) -> dict[str, Any]:
            del case
            return {"headers": HEADERS}

        def validate_response(self, response: Any, case: Case, **_: Any) -> None:
            assert well(response.status_code, case.path), response.text
            case.validate_response(response, checks=CHECKS)

        def step(self, input: Any) -> Any:
            found = super().step(input)
            if input.transition is not None and input.is_applied and found.response.status_code == 200:
                reached.add(found.case.operation.label)
            return found

    Walk.run(
        settings=settings(
            max_examples=walks, stateful_step_count=6, deadline=None, derandomize=True, database=None,
            phases=[Phase.generate], suppress_health_check=list(HealthCheck),
        )
    )  # fmt: skip
    return reached


def test_walks_along_the_links(app: FastAPI) -> None:
    assert any("{" in operation for operation in follow(app, 40))


def test_two_thousand_requests(app: FastAPI) -> None:
    assert fuzz(app, 2_000) > 1_500


@pytest.mark.long
def test_a_thousand_walks(app: FastAPI) -> None:
    assert len(follow(app, 1_000)) >= 3


@pytest.mark.long
def test_twenty_thousand_requests(app: FastAPI) -> None:
    assert fuzz(app, 20_000) > 15_000
