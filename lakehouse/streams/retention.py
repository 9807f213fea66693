"""What Kafka's retention took before the lake had it: noticed at the start and when the query ends, never passed over in silence."""

from __future__ import annotations

from collections.abc import Mapping

from lakehouse.errors import GlobalMartError


class LostRecordsError(GlobalMartError):
    """Kafka no longer has records that the lake has not taken."""


class OtherKafkaError(GlobalMartError):
    """Kafka has not come as far as the lake: it is not the one that the lake was filled from, or has lost what it had."""


def lost_records(next_offsets: Mapping[str, int], starts: Mapping[str, int]) -> dict[str, tuple[int, int]]:
    """Per `topic/partition`, the first and last offset that the lake should take next and Kafka has no more.

    `next_offsets` is the ledger's, `starts` the first offsets that Kafka still has.
    """
    return {
        name: (offset, starts[name] - 1)
        for name, offset in sorted(next_offsets.items())
        if starts.get(name, offset) > offset
    }


def check(next_offsets: Mapping[str, int], starts: Mapping[str, int]) -> None:
    """Raise LostRecordsError, naming the places, where something is lost."""
    lost = lost_records(next_offsets, starts)
    if lost:
        count = sum(last - first + 1 for first, last in lost.values())
        places = ", ".join(f"{name} offsets {first} to {last}" for name, (first, last) in list(lost.items())[:5])
        more = f" and {len(lost) - 5} more places" if len(lost) > 5 else ""
        raise LostRecordsError(
            f"Kafka no longer has {count} records that the lake has not taken ({places}{more}): its retention was shorter than the "
            "outage. Nothing was written. Bring them back into Kafka from elsewhere, or go on without them by setting "
            "GLOBALMART_STREAM_ACCEPT_LOSS=true for one start."
        )


def check_reaches(next_offsets: Mapping[str, int], ends: Mapping[str, int]) -> None:
    """Raise OtherKafkaError where a partition of Kafka ends before what the lake has taken of it.

    Its next records would get offsets that are in the lake already, of other records.
    """
    short = {name: ends.get(name, 0) for name, offset in sorted(next_offsets.items()) if ends.get(name, 0) < offset}
    if short:
        name, end = next(iter(short.items()))
        raise OtherKafkaError(
            f"Kafka has not come as far as the lake in {len(short)} partitions ({name} ends at offset {end}, and the lake goes up to "
            f"{next_offsets[name]}): it is another Kafka, or has lost its data. Nothing was written. Bring its data back, or let an empty "
            "Kafka of the local stack go on where the lake ends: `globalmart down`, then `globalmart restore --kafka-only`."
        )
