"""Fixtures that several modules of integration tests share."""

from live_lake import live_lake

__all__ = ["live_lake"]
