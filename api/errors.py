"""The errors of the serving side: those that a later try may cure apart from those that need a person."""

from __future__ import annotations

from lakehouse.errors import GlobalMartError


class ServingError(GlobalMartError):
    """Base of the errors of the refresher and the API."""


class SourceError(ServingError):
    """A gold table cannot be read: the store is away, or the table is damaged. The last good files stay in use."""


class ServingFileError(ServingError):
    """The serving folder has no usable file: the refresher has not run yet, or its files are damaged."""


class TableMissingError(ServingError):
    """A gold table has not been materialised yet, so there is nothing true to answer."""

    def __init__(self, path: str) -> None:
        self.path = path
        super().__init__(f"The table {path} has not been materialised yet, so this route has nothing to answer from.")


class QueryLimitError(ServingError):
    """A statement was stopped because it ran longer, or took more memory, than it may."""


class CursorError(ServingError):
    """The cursor was not made by this API, or not for this request."""


class CursorGoneError(ServingError):
    """The cursor belongs to a version of the table that is no longer served."""


class NotFoundError(ServingError):
    """What was asked for by name does not exist in the version that is served."""


class ForbiddenError(ServingError):
    """The key's role, countries or grants do not reach as far as the request."""


class NotAcceptableError(ServingError):
    """None of the formats that the request accepts is offered."""


class ConflictError(ServingError):
    """What was asked for does not fit the state of the thing."""


class DeskAwayError(ServingError):
    """The alert desk's database does not answer. A later try may work."""


class MirrorError(ServingError):
    """The mirror cannot be brought up to date: PostgreSQL is away, refuses, or is not set up. It is tried again."""
