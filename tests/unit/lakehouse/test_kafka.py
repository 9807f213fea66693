"""A connection that asks on where a partition's leader was is made anew, once; with real brokers: `tests/integration/test_cluster.py`."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest
from kafka import TopicPartition
from kafka.errors import KafkaTimeoutError

from lakehouse import kafka
from lakehouse.errors import KafkaError
from lakehouse.kafka import KafkaOffsets
from lakehouse.settings import Settings


class Client:
    """Stands for kafka-python's consumer: what it knows of leaders is of the time that it was made."""

    made: ClassVar[list[Client]] = []
    working: ClassVar[set[int]] = set()

    def __init__(self, **_: Any) -> None:
        self.number = len(self.made)
        self.is_closed = False
        self.made.append(self)

    def end_offsets(self, places: list[TopicPartition], timeout_ms: int) -> dict[TopicPartition, int]:
        assert not self.is_closed
        if self.number not in self.working:
            raise KafkaTimeoutError(f"Failed to get offsets by timestamps in {timeout_ms} ms")
        return dict.fromkeys(places, 7)

    def topics(self) -> set[str]:
        return {"users"}

    def close(self) -> None:
        self.is_closed = True


@pytest.fixture(autouse=True)
def _client(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kafka, "KafkaConsumer", Client)
    monkeypatch.setattr(Client, "made", [])


@pytest.mark.parametrize(("working", "closed"), [({0}, [False]), ({1}, [True, False])])
def test_it_is_made_anew_only_where_it_fails(
    monkeypatch: pytest.MonkeyPatch, working: set[int], closed: list[bool]
) -> None:
    monkeypatch.setattr(Client, "working", working)
    offsets = KafkaOffsets(Settings(_env_file=None))
    for _ in range(3):
        assert offsets.ends({"users": 2}) == {"users/0": 7, "users/1": 7}
    assert [one.is_closed for one in Client.made] == closed


def test_what_fails_again_is_told_and_the_next_look_tries_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Client, "working", {2})
    offsets = KafkaOffsets(Settings(_env_file=None))
    with pytest.raises(KafkaError, match="stopped answering"):
        offsets.ends({"users": 1})
    assert offsets.ends({"users": 1}) == {"users/0": 7}
