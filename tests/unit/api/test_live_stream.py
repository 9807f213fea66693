"""The stream of live figures while serving files come and go: each trouble is said once, and the figures are told again after it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any

import orjson
import pytest
from fastapi.testclient import TestClient

from api.access import Access, Role
from api.errors import ServingError
from api.routes import live
from api.serving import Serving

EVERYTHING = Access("k", "k", Role.viewer)


class Failing:
    """The serving files of `serving`, but for the looks at which `troubles` has words; ends the stream after them."""

    def __init__(self, serving: Serving, troubles: Iterable[str | None]) -> None:
        self._serving, self._troubles = serving, iter(troubles)
        self.is_over = False

    def current(self) -> Any:
        trouble = next(self._troubles, "over")
        self.is_over = trouble == "over"
        if trouble:
            raise ServingError(trouble)
        return self._serving.current()


def test_a_trouble_is_said_once_and_the_figures_are_told_again_after_it(
    filled: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "_LOOK_SECONDS", 0)
    monkeypatch.setattr(live, "_TROUBLE_SECONDS", 0)
    serving = Failing(
        filled.app.state.serving,  # type: ignore[attr-defined]
        [None, None, "away", "away", "away", "broken", None, None, "away", None],
    )

    async def gone() -> bool:
        return serving.is_over

    request: Any = SimpleNamespace(state=SimpleNamespace(is_good=lambda: True), is_disconnected=gone)

    async def told() -> list[tuple[str, Any]]:
        return [(one.event, orjson.loads(one.data)) async for one in live._events(request, serving, EVERYTHING)]  # type: ignore[arg-type]

    events = asyncio.run(told())
    assert [name for name, _ in events] == ["metrics", "problem", "problem", "metrics", "problem", "metrics", "problem"]
    assert [body["detail"] for name, body in events if name == "problem"] == ["away", "broken", "away", "over"]
    assert len({body["sequence"] for name, body in events if name == "metrics"}) == 1
