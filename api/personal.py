"""Personal fields in answers: user ids as pseudonyms and e-mail addresses hidden, unless the key is granted them.

A pseudonym is the user id encrypted so that equal ids give equal pseudonyms (AES-SIV, RFC 5297), under a key that only
the API can make. So a caller without the grant can follow one customer over all routes, and ask for it by its pseudonym, and
still cannot tell who it is: not even by trying all user ids, which a hash would allow.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Callable, Sequence

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV

from api.access import Access
from api.errors import ForbiddenError, NotFoundError

PREFIX = "p_"
HIDDEN = "***"


class Pseudonyms:
    """User id to pseudonym and back. The same in all workers and after a restart, until the set-up's key is changed."""

    def __init__(self, key_digest: bytes) -> None:
        key = hmac.digest(key_digest, b"globalmart pseudonyms", hashlib.sha512)
        self._cipher = AESSIV(key)

    def of(self, user_id: str) -> str:
        sealed = self._cipher.encrypt(user_id.encode(), None)
        return PREFIX + base64.urlsafe_b64encode(sealed).decode().rstrip("=")

    def user_id(self, pseudonym: str) -> str:
        """Raises NotFoundError where it was not made here."""
        text = pseudonym.removeprefix(PREFIX)
        try:
            sealed = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
            return self._cipher.decrypt(sealed, None).decode()
        except (binascii.Error, InvalidTag, ValueError):
            raise NotFoundError(f"There is no customer with the pseudonym {pseudonym}.") from None


class Mask:
    """The personal fields of one answer. `on_unmasked` is called once, before the first value that leaves as it is."""

    def __init__(self, access: Access, pseudonyms: Pseudonyms, on_unmasked: Callable[[], None]) -> None:
        self._access = access
        self._pseudonyms = pseudonyms
        self._on_unmasked = on_unmasked
        self._told = False

    @property
    def is_open(self) -> bool:
        """Whether values leave as they are."""
        return self._access.sees_personal

    def user_id(self, user_id: str) -> str:
        """The id to show: itself, or its pseudonym."""
        if not self._access.sees_personal:
            return self._pseudonyms.of(user_id)
        self.note()
        return user_id

    def email(self, email: str) -> str:
        if not self._access.sees_personal:
            return HIDDEN
        self.note()
        return email

    def text(self, text: str, user_ids: Sequence[str]) -> str:
        """A text that may name `user_ids`, each in the way that it may be shown."""
        if self._access.sees_personal:
            self.note()
            return text
        for user_id in user_ids:
            text = re.sub(rf"(?<!\w){re.escape(user_id)}(?!\w)", self._pseudonyms.of(user_id), text)
        return text

    def asked(self, given: str) -> str:
        """The user id that a request means by `given`: an id, or a pseudonym from an earlier answer.

        Raises NotFoundError for a pseudonym that is none, and ForbiddenError for an id where the key is not granted
        personal data: what it learns about a person whom it knows by name would be personal too.
        """
        if given.startswith(PREFIX):
            return self._pseudonyms.user_id(given)
        if not self._access.sees_personal:
            raise ForbiddenError(
                "This key is not granted personal data: ask for the customer by the pseudonym of an earlier answer."
            )
        return given

    def note(self) -> None:
        """Say that a personal value leaves unmasked; called by itself for each value, by others where rows pass in bulk."""
        if not self._told:
            self._told = True
            self._on_unmasked()
