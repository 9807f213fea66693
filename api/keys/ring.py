"""What the API process knows of keys: all of them in memory, looked at anew every second.

A look-up costs microseconds and asks nobody. While PostgreSQL is away, known keys stay as they were and what is unknown is
told apart from what is wrong.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime

from api.access import Access, Role
from api.keys.database import KeyStoreError
from api.keys.model import Key, KeyRefusedError, KeysAwayError, id_of, matches
from api.keys.store import Store

SETUP = Access("setup", "set-up", Role.admin, sees_personal=True)
"""The key that set-up wrote to `.env`: known by its SHA-256 in the settings, it works without PostgreSQL."""
LOOK_SECONDS = 1.0
_LOOK_AGAIN_SECONDS = 0.25
# A look that lasts as long hangs: PostgreSQL is away, whatever it accepts.
_STALE_SECONDS = 5.0
_NOTE_SECONDS = 30.0
_NO_KEY = bytes(32)
log = logging.getLogger(__name__)


def _now() -> datetime:
    return datetime.now(UTC)


class KeyRing:
    """Keys and ended sessions of a store; without a store there is the set-up's key alone."""

    def __init__(self, setup_sha256: bytes, store: Store | None, now: Callable[[], datetime] = _now) -> None:
        self._setup = setup_sha256
        self._store = store
        self._now = now
        self._keys: dict[str, Key] = {}
        self._ended: frozenset[str] = frozenset()
        self._ending: dict[str, datetime] = {}
        self._uses: dict[str, datetime] = {}
        self._problem: str | None = None if store is None else "the keys have not been read yet"
        self._looked = self._noted = time.monotonic()
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Read the keys once, and then on in a thread."""
        if self._store is None:
            return
        self.look()
        self._thread = threading.Thread(target=self._follow, name="keys-follow", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()
        if self._thread is not None and self._store is not None:
            self._thread.join(_STALE_SECONDS)
            with contextlib.suppress(KeyStoreError):  # said by the looks; when a key was last used is no great loss
                self._write(self._store, uses=True)

    @property
    def is_away(self) -> bool:
        """Whether there may be keys that this process does not know of."""
        return self._store is not None and (
            self._problem is not None or time.monotonic() - self._looked > _STALE_SECONDS
        )

    def find(self, text: str) -> Access:
        """The rights of the key `text`. Raises KeyRefusedError, and KeysAwayError where that cannot be told now."""
        if matches(text, self._setup):
            return SETUP
        key_id = id_of(text)
        key = self._keys.get(key_id) if key_id else None
        # Compared in any case, so that the time does not tell which ids there are.
        is_right = matches(text, key.sha256 if key else _NO_KEY)
        if key is None and key_id and self.is_away:
            raise KeysAwayError("Whether this API key is good cannot be told now: the store of keys does not answer.")
        if key is None or not is_right:
            raise KeyRefusedError("The API key is wrong.")
        return self._good(key)

    def may_be_new(self, text: str) -> bool:
        """Whether `text` may be a key that was issued since the last look."""
        key_id = id_of(text)
        return self._store is not None and key_id is not None and key_id not in self._keys

    def of_session(self, session_id: str, key_id: str) -> Access:
        """The rights of a session that `key_id` signed in. Raises KeyRefusedError and KeysAwayError."""
        if session_id in self._ended or session_id in self._ending:
            raise KeyRefusedError("This session was signed out.")
        if key_id == SETUP.key_id:
            return SETUP
        key = self._keys.get(key_id)
        if key is None and self.is_away:
            raise KeysAwayError("Whether this session is good cannot be told now: the store of keys does not answer.")
        if key is None:
            raise KeyRefusedError("The API key of this session is not known any more.")
        return self._good(key)

    def is_good(self, access: Access, session_id: str = "") -> bool:
        """Whether an answer that goes on for long, to `access` by its key or by a session, may go on."""
        try:
            self.of_session(session_id, access.key_id)
        except KeyRefusedError:
            return False
        except KeysAwayError:
            return True
        return True

    def end_session(self, session_id: str, expires_at: datetime) -> None:
        """Refuse a session from now on; other workers learn of it at their next looks, once PostgreSQL has it."""
        self._ending[session_id] = expires_at

    def look(self) -> None:
        """Read the keys anew, and write what waits. Where PostgreSQL is away, everything stays as it was."""
        with self._lock:
            self._look()

    def look_again(self) -> None:
        """As `look`, but not sooner than a moment after the last one: wrong keys must not become a load on PostgreSQL."""
        self._stopped.wait(max(0.0, self._looked + _LOOK_AGAIN_SECONDS - time.monotonic()))
        self.look()

    def _look(self) -> None:
        if self._store is None:
            return
        try:
            known = {key.key_id: key for key in self._store.all()}
            self._ended = self._store.ended(self._now())
            self._keys = known
            self._problem = None
            self._write(self._store, uses=time.monotonic() - self._noted > _NOTE_SECONDS)
        except KeyStoreError as error:
            if self._problem is None:
                log.warning("%s", error)
            self._problem = str(error)
        self._looked = time.monotonic()

    def _write(self, store: Store, uses: bool) -> None:
        """Ended sessions at once, uses of keys now and then; what cannot be written waits for the next look."""
        ending = dict(self._ending)
        if ending:
            store.end(ending)
            self._ended |= ending.keys()
            for session in ending:
                del self._ending[session]
        if uses and self._uses:
            noted, self._uses, self._noted = self._uses, {}, time.monotonic()
            store.used(noted.items())

    def _good(self, key: Key) -> Access:
        now = self._now()
        key.check(now)
        self._uses[key.key_id] = now
        return key.access

    def _follow(self) -> None:
        while not self._stopped.wait(LOOK_SECONDS):
            self.look()
