"""What several modules of integration tests share: fixtures, and a second try where a wait was too short."""

from __future__ import annotations

import pytest
from live_lake import live_lake

__all__ = ["live_lake"]


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A test on real servers in which `wait_for` ran out is tried once more: with two stacks on two cores a wait is too short at times.

    What fails an assertion, a wrong row or a broken book, has no second try. The summary lists each one as R.
    """
    for item in items:
        if "integration" in item.keywords:
            item.add_marker(pytest.mark.flaky(reruns=1, only_rerun=[r"not within \d+ s$"]))
