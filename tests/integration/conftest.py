"""What several modules of integration tests share: fixtures, and a second try that the report names."""

from __future__ import annotations

import pytest
from live_lake import live_lake

__all__ = ["live_lake"]


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A test on real servers that fails is tried once more: with two stacks on two cores some wait or other is too short at times.

    What the servers hold by then stays, so a wrong row or a broken book fails again. The summary lists each second try as R.
    """
    for item in items:
        if "integration" in item.keywords:
            item.add_marker(pytest.mark.flaky(reruns=1))
