"""The real-time lane on the real stack: what both lanes say, what is withdrawn, and that kills and broken records change nothing."""

from __future__ import annotations

import json
import os
import signal
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import psutil
import pytest
from conftest import Stack, wait_for
from kafka import KafkaConsumer, KafkaProducer, TopicPartition

from lakehouse import heartbeat
from lakehouse.findings import finding_id

pytestmark = [pytest.mark.integration, pytest.mark.timeout(1200)]

RUN = uuid.uuid4().hex[:8]
"""Marks products and customers of this run: the stack is shared with other tests."""
DRILL, SAW = f"drill-{RUN}", f"saw-{RUN}"
PRICES = {DRILL: "20.00", SAW: "30.00"}


class Shop:
    """Sends records by hand and hears all that is said on `detections` and `live_events` from its start on."""

    def __init__(self, servers: str) -> None:
        self._producer = KafkaProducer(bootstrap_servers=servers, acks="all")
        self._consumer = KafkaConsumer(bootstrap_servers=servers, group_id=None, enable_auto_commit=False)
        places = [
            TopicPartition(topic, number)
            for topic in ("detections", "live_events")
            for number in self._consumer.partitions_for_topic(topic)
        ]
        self._consumer.assign(places)
        self._consumer.seek_to_end(*places)
        for place in places:
            self._consumer.position(place)
        self.detections: list[tuple[bytes, dict[str, Any]]] = []
        self.live_events: list[dict[str, Any]] = []

    def close(self) -> None:
        self._producer.close()
        self._consumer.close()

    def send(self, topic: str, key: str, value: bytes | None) -> None:
        self._producer.send(topic, key=key.encode(), value=value).get(timeout=30)

    def send_product(self, product_id: str, price: str, category: str = f"Tools {RUN}") -> None:
        body = envelope("product") | {"product_id": product_id, "name": f"Name of {product_id}", "category": category}
        self.send("products", product_id, written(body | {"price": price, "inventory": 1000, "ratings": 4.5}))

    def send_order(self, *lines: tuple[str, int, str], event_id: str | None = None) -> str:
        """An order of lines (product, quantity, price) by a customer of its own; returns its event id."""
        body = envelope("transaction") | ({"event_id": event_id} if event_id else {})
        user = f"u-{RUN}-{body['event_id'][:8]}"
        cents = sum(quantity * int(price.replace(".", "")) for _, quantity, price in lines)
        body |= {
            "transaction_id": f"t-{body['event_id']}", "user_id": user, "session_id": "s", "country": "DE", "payment_method": "paypal",
            "products": [{"product_id": product, "quantity": quantity, "price": price} for product, quantity, price in lines],
            "total_amount": f"{cents // 100}.{cents % 100:02d}",
        }  # fmt: skip
        self.send("transactions", user, written(body))
        return str(body["event_id"])

    def send_view(self, product_id: str) -> str:
        body = envelope("product_view") | {
            "user_id": f"u-{RUN}", "session_id": "s", "country": "DE", "product_id": product_id, "device": "tablet",
        }  # fmt: skip
        self.send("product_views", f"u-{RUN}", written(body))
        return str(body["event_id"])

    def hear(self) -> None:
        for place, messages in self._consumer.poll(timeout_ms=200).items():
            for message in messages:
                body = json.loads(message.value)
                if place.topic == "detections":
                    self.detections.append((message.value, body))
                else:
                    self.live_events.append(body)

    def said(self, verdict: str, kind: str, event_id: str) -> list[dict[str, Any]]:
        """All messages with this verdict about the finding."""
        self.hear()
        wanted = finding_id(kind, event_id)
        return [body for _, body in self.detections if body["finding_id"] == wanted and body["verdict"] == verdict]

    def wait_said(self, verdict: str, kind: str, event_id: str, seconds: float = 120) -> dict[str, Any]:
        found = wait_for(lambda: self.said(verdict, kind, event_id), f"{kind} of {event_id} is {verdict}", seconds)
        return found[0]


def envelope(event_type: str) -> dict[str, Any]:
    now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return {"event_id": str(uuid.uuid4()), "event_type": event_type, "schema_version": 1, "timestamp": now}


def written(body: dict[str, Any]) -> bytes:
    """JSON with money, given as text of two decimals, as numbers."""
    text = json.dumps(body)
    for money in {
        value
        for item in [body, *body.get("products", [])]
        for key, value in item.items()
        if key in ("price", "total_amount")
    }:
        text = text.replace(f'"{money}"', money)
    return text.encode()


def jvm(stack: Stack) -> int:
    return int(json.loads((stack.settings().run_dir / "jvm" / "realtime.json").read_text())["pid"])


@pytest.fixture(scope="module")
def shop(stack: Stack) -> Iterator[Shop]:
    """The lane and the stream run, and the lane has taken up this run's products."""
    settings = stack("kafka", "minio", "streaming", "realtime")
    shop = Shop(settings.kafka_bootstrap_servers)
    for product_id, price in PRICES.items():
        shop.send_product(product_id, price)
    for product_id in PRICES:
        wait_known(shop, product_id)
    yield shop
    shop.close()


def live(shop: Shop, event_id: str) -> list[dict[str, Any]]:
    shop.hear()
    return [body for body in shop.live_events if body["event_id"] == event_id]


def wait_known(shop: Shop, product_id: str) -> None:
    """Wait until the lane has taken up a product: at the border of two of its batches."""

    def is_known() -> bool:
        viewed = shop.send_view(product_id)
        shown = wait_for(lambda: live(shop, viewed), "the lane passes a view on", 60)
        return "name" in shown[0]["lines"][0]

    wait_for(is_known, "the lane knows the product", 300)


def test_with_a_frozen_catalogue_both_lanes_say_the_same(shop):
    orders = [
        shop.send_order((DRILL, 1, "20.00"), (SAW, 1, "30.10")),
        shop.send_order((DRILL, 1, "19.59"), (SAW, 2, "3.00")),
        shop.send_order((SAW, 60, "30.00")),
        shop.send_order((DRILL, 59, "20.00")),
        shop.send_order((DRILL, 100, "31.00")),
        shop.send_order((f"unknown-{RUN}", 61, "1.00")),
    ]
    expected = {
        (orders[1], "price_mismatch"),
        (orders[2], "quantity_burst"),
        (orders[4], "price_mismatch"),
        (orders[4], "quantity_burst"),
        (orders[4], "amount_outlier"),
        (orders[5], "quantity_burst"),
    }
    for event_id, kind in expected:
        raised = shop.wait_said("raised", kind, event_id)
        confirmed = shop.wait_said("confirmed", kind, event_id)
        assert (
            raised | {"lane": "durable", "verdict": "confirmed", "detected_at": confirmed["detected_at"]} == confirmed
        )
    said = {(body["event_id"], body["kind"]) for _, body in shop.detections if body["event_id"] in orders}
    assert said == expected


def test_live_events_carry_what_the_catalogue_knows(shop):
    event_id = shop.send_order((SAW, 2, "30.00"))
    shown = wait_for(lambda: live(shop, event_id), "the order is shown", 30)[0]
    assert shown["lines"] == [
        {"product_id": SAW, "name": f"Name of {SAW}", "category": f"Tools {RUN}", "quantity": 2, "price": 30.0}
    ]
    assert (shown["event_type"], shown["country"], shown["total_amount"]) == ("transaction", "DE", 60.0)


def test_a_price_that_was_right_at_the_time_is_withdrawn_with_both_prices(shop):
    """The lane's catalogue is older than the change; silver's is not."""
    product = f"lamp-{RUN}"
    shop.send_product(product, "50.00", "Lamps")
    wait_known(shop, product)
    shop.send_product(product, "40.00", "Lamps")
    event_id = shop.send_order((product, 1, "40.00"))
    raised = shop.wait_said("raised", "price_mismatch", event_id)
    withdrawn = shop.wait_said("retracted", "price_mismatch", event_id)
    line = {"catalogue_price": "50.00", "line_number": 1, "price": "40.00", "product_id": product}
    assert raised["evidence"]["lines"] == [line]
    assert withdrawn["evidence"]["lines"] == [line | {"catalogue_price_at_event": "40.00"}]
    assert (withdrawn["lane"], withdrawn["finding_id"]) == ("durable", raised["finding_id"])
    assert shop.said("confirmed", "price_mismatch", event_id) == []


def test_what_is_said_of_a_refused_record_is_withdrawn(shop):
    """A second record with the id of the first and another body is quarantined: there is no such order."""
    event_id = shop.send_order((DRILL, 1, "20.00"))
    shop.send_order((DRILL, 1, "1.00"), event_id=event_id)
    shop.wait_said("raised", "price_mismatch", event_id)
    withdrawn = shop.wait_said("retracted", "price_mismatch", event_id)
    assert withdrawn["detail"].startswith("The record was refused or repeats another.")


def test_broken_records_do_not_stop_the_lane(stack, shop):
    pid = stack.wait_healthy("realtime").pid
    broken = [None, b"", b"{", b"[1]", b"\xff\xfe", b'{"event_id":1}', b'{"a":' * 1000, b'"' + b"x" * 300_000 + b'"']
    for topic in ("transactions", "product_views", "cart_events", "inventory_events"):
        for number, value in enumerate(broken):
            shop.send(topic, f"broken-{RUN}-{number}", value)
    event_id = shop.send_order((DRILL, 1, "2.00"))
    shop.wait_said("raised", "price_mismatch", event_id)
    assert stack.status("realtime").pid == pid


@pytest.mark.parametrize("victim", ["jvm", "python"])
def test_a_killed_lane_comes_back_and_says_the_same_again(stack, shop, victim):
    pid = stack.wait_healthy("realtime", seconds=300).pid
    before = shop.send_order((DRILL, 1, "3.00"))
    shop.wait_said("raised", "price_mismatch", before)
    streaming = stack.status("streaming").pid
    halves = [pid, jvm(stack)]
    os.kill(halves[victim == "jvm"], signal.SIGKILL)
    while_away = shop.send_order((DRILL, 1, "4.00"))
    wait_for(lambda: not any(map(psutil.pid_exists, halves)), "both halves of the lane have ended", 60)
    stack.wait_healthy("realtime", after_pid=pid, seconds=300)
    after = shop.send_order((DRILL, 1, "5.00"))
    for event_id in (while_away, after):
        shop.wait_said("raised", "price_mismatch", event_id)
        shop.wait_said("confirmed", "price_mismatch", event_id)
    wanted = finding_id("price_mismatch", before)
    said = {value for value, body in shop.detections if body["finding_id"] == wanted and body["verdict"] == "raised"}
    assert len(said) == 1, "judged again, the same record gives the same bytes"
    assert stack.status("streaming").pid == streaming, "the durable path took no notice"


def test_the_lane_says_how_it_is(stack, shop):
    stack.wait_healthy("realtime", seconds=300)
    beat = heartbeat.read(stack.settings(), "realtime")
    assert beat["state"] == "running"
    assert beat["product_count"] >= len(PRICES)
    wait_for(lambda: heartbeat.read(stack.settings(), "realtime")["open_finding_count"] == 0, "all is settled", 120)
