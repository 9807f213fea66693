"""A collector: one subject that is looked at now and then. The monitor times it and says whether it succeeded."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Protocol

import psutil
import psycopg
from deltalake.exceptions import DeltaError
from kafka.errors import KafkaError as ClientKafkaError

from lakehouse.errors import GlobalMartError
from lakehouse.metrics.base import Sample

# What keeps a collector from knowing. Anything else is a bug.
UNKNOWABLE = (
    GlobalMartError, OSError, DeltaError, psycopg.Error, ClientKafkaError, psutil.Error, json.JSONDecodeError,
)  # fmt: skip


class Collector(Protocol):
    """`every` is how many of the monitor's rounds lie between two looks; what was seen stands meanwhile."""

    name: str
    every: int

    def collect(self, now: datetime) -> list[Sample]:
        """What is seen now. Raises one of UNKNOWABLE."""
