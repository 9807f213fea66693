"""The errors of the platform that people are meant to read: each message is one clear sentence with a way out."""

from __future__ import annotations


class GlobalMartError(Exception):
    """Base of all errors that end a command with their message and a non-zero exit code."""


class SettingsError(GlobalMartError):
    """A setting is missing or wrong; nothing was started."""


class StorageError(GlobalMartError):
    """The object store cannot be reached or refuses the credentials."""


class KafkaError(GlobalMartError):
    """No broker answers, or a topic is not as the platform needs it."""


class LeaseHeldError(GlobalMartError):
    """Another process owns what this one wanted to own."""


class CheckpointError(GlobalMartError):
    """A streaming checkpoint is damaged or does not belong to the lake's ledger."""


class VersionMismatchError(GlobalMartError):
    """Spark, Delta and Kafka libraries do not fit each other."""


class FencedError(GlobalMartError):
    """Somebody else has written to a table that this process owned: it has been replaced and must stop."""
