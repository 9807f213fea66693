"""A lease has one holder; a dead holder's lease is free at once, a living one's is not."""

import contextlib
import os
import subprocess
import sys
import threading
import time

import pytest

from lakehouse.errors import LeaseHeldError
from lakehouse.lease import FileStore, Lease, StaleError


def test_second_holder_is_refused_and_told_who_has_it(file_settings):
    with (
        Lease(file_settings, "streaming"),
        pytest.raises(LeaseHeldError, match=r"Process \d+ on .* owns the streaming"),
    ):
        Lease(file_settings, "streaming").acquire()


def test_other_names_are_free(file_settings):
    with Lease(file_settings, "streaming"), Lease(file_settings, "batch") as batch:
        assert batch.term == 1


def test_released_lease_is_free_and_its_term_grows(file_settings):
    terms = []
    for _ in range(3):
        with Lease(file_settings, "streaming") as lease:
            terms.append(lease.term)
    assert terms == [1, 2, 3]


def test_lease_of_a_killed_process_is_free_at_once(file_settings):
    code = (
        "import sys, time; from lakehouse.settings import Settings; from lakehouse.lease import Lease;"
        "Lease(Settings(_env_file=None, lake_uri=sys.argv[1]), 'streaming').acquire(); print('held', flush=True); time.sleep(60)"
    )
    other = subprocess.Popen([sys.executable, "-c", code, file_settings.lake_uri], stdout=subprocess.PIPE, text=True)
    try:
        assert other.stdout.readline() == "held\n"
        with pytest.raises(LeaseHeldError, match=f"Process {other.pid} "):
            Lease(file_settings, "streaming").acquire()
    finally:
        other.kill()
        other.wait()
    with Lease(file_settings, "streaming") as lease:
        assert lease.term == 2


def test_holder_learns_that_its_lease_was_taken(file_settings):
    lost = []
    settings = file_settings.model_copy(update={"lease_seconds": 0.3})
    lease = Lease(settings, "streaming", on_lost=lambda: lost.append(True))
    lease.acquire()
    store = Lease(settings, "streaming")._store
    deadline = time.monotonic() + 10
    while not lost and time.monotonic() < deadline:
        with contextlib.suppress(StaleError):  # renewed at this very moment
            store.write("{}", store.read()[1])
        time.sleep(0.02)
    assert lost == [True]


class AnswerLost(FileStore):
    """Its first write arrives, but the client tries again and is told that somebody was faster."""

    lost = False

    def write(self, text, tag):
        new = super().write(text, tag)
        if not self.lost:
            self.lost = True
            raise StaleError
        return new


def test_a_write_whose_answer_was_lost_is_known_as_its_own(file_settings):
    lease = Lease(file_settings, "streaming")
    lease._store = AnswerLost(file_settings, "streaming")
    with lease, pytest.raises(LeaseHeldError, match="owns the streaming"):
        Lease(file_settings, "streaming").acquire()


def test_a_patient_one_says_once_whom_it_waits_for_and_goes_on_when_that_ends(file_settings):
    said = []
    held = Lease(file_settings, "batch")
    held.acquire()
    threading.Timer(1.5, held.release).start()
    with Lease(file_settings, "batch", patience_seconds=30, say=said.append) as lease:
        assert lease.term == 2
    (sentence,) = said
    assert sentence.startswith(f"Waiting for the batch lease, 30 s at most. Process {os.getpid()} on ")
