"""A line of a log is one JSON object, and says which batch it is about, in the threads of the sinks too."""

from __future__ import annotations

import json
import logging
import sys
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context

import pytest

from lakehouse.logs import JsonFormatter, facts, set_up, trace_id, tracing

log = logging.getLogger("lakehouse.test")


def line(message: str, **more: object) -> dict[str, object]:
    record = logging.LogRecord("lakehouse.test", logging.INFO, __file__, 1, message, None, None)
    vars(record).update(more)
    text = JsonFormatter("streaming").format(record)
    assert "\n" not in text
    return dict(json.loads(text))


def test_a_line_says_when_who_and_what() -> None:
    said = line('a "quoted" word\nand a second line')
    assert set(said) == {"at", "level", "service", "logger", "message"}
    assert (said["level"], said["service"], said["logger"]) == ("info", "streaming", "lakehouse.test")
    assert said["message"] == 'a "quoted" word\nand a second line'
    assert str(said["at"]).endswith("Z")


def test_facts_stand_beside_the_words() -> None:
    assert line("committed", **facts(batch_id=7, seconds={"live": 0.1}))["seconds"] == {"live": 0.1}


def test_an_error_is_in_the_same_line() -> None:
    try:
        raise ValueError("no such day")
    except ValueError:
        assert "ValueError: no such day" in str(line("failed", exc_info=sys.exc_info())["error"])


def test_lines_within_a_batch_have_its_trace_id_and_those_after_it_none() -> None:
    with tracing(57):
        assert line("first")["trace_id"] == trace_id(57) == "batch-57"
        with ThreadPoolExecutor(1) as pool:
            assert pool.submit(copy_context().run, line, "in a thread").result()["trace_id"] == "batch-57"
        with tracing(58):
            assert line("inner")["trace_id"] == "batch-58"
        assert line("again")["trace_id"] == "batch-57"
    assert "trace_id" not in line("after")


def test_a_service_logs_json_to_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    try:
        set_up("desk")
        log.info("%d findings", 3)
    finally:
        root.handlers[:], root.level = handlers, level
    said = json.loads(capsys.readouterr().err)
    assert (said["service"], said["message"]) == ("desk", "3 findings")
