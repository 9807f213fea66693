"""Lists of gold tables as REST resources: what a resource declares, and the one way in which all are asked and answered."""

from __future__ import annotations

from api.resources.base import Filter, Resource
from api.resources.route import add

__all__ = ["Filter", "Resource", "add"]
