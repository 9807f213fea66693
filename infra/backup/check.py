"""Whether a backup is whole: every file there, of its size, and with the content that its hash says. Reads only."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from infra.backup.make import sha256
from infra.backup.manifest import BackupError, File, Manifest
from infra.backup.places import Place

_READS = 8
_IN_MEMORY = 32 * 1024 * 1024
_MOST_NAMED = 5


# The name of an object says what it should hold, and who makes a backup trusts it where the size is right.
AFTERWARDS = "Remove the objects that are not as they were: the next backup into this target copies them again, as it does what is missing."


class DamagedBackupError(BackupError):
    """Files of a backup are missing or not what they were."""


def faults(target: Place, manifest: Manifest, step: Callable[[int, int], None] = lambda *_: None) -> list[str]:
    """What is wrong with the files of a backup, a sentence each, by path; empty where it is whole."""
    there = target.files("objects")
    files = sorted(manifest.files, key=lambda file: file.path)
    with ThreadPoolExecutor(_READS) as pool:
        found = []
        for number, fault in enumerate(pool.map(lambda file: _fault(target, there, file), files), start=1):
            found += [fault] if fault else []
            step(number, len(files))
    return found


def check(target: Place, manifest: Manifest, step: Callable[[int, int], None] = lambda *_: None) -> None:
    """Raise DamagedBackupError, naming the files, where a backup is not whole."""
    found = faults(target, manifest, step)
    if found:
        more = f" and {len(found) - _MOST_NAMED} more" if len(found) > _MOST_NAMED else ""
        raise DamagedBackupError(
            f"Backup {manifest.backup_id} in {target} is damaged: {'; '.join(found[:_MOST_NAMED])}{more}. Nothing was changed. Restore another "
            f"backup (`globalmart backup list` names them). {AFTERWARDS}"
        )


def _fault(target: Place, there: dict[str, int], file: File) -> str:
    size = there.get(file.object)
    if size is None:
        return f"{file.path} is missing ({file.object})"
    if size != file.size:
        return f"{file.path} has {size:,} bytes instead of {file.size:,} ({file.object})"
    with tempfile.SpooledTemporaryFile(_IN_MEMORY) as body:
        try:
            target.read(file.object, body)
        except FileNotFoundError:
            return f"{file.path} is missing ({file.object})"
        if sha256(body) != file.sha256:
            return f"{file.path} is not what was backed up ({file.object})"
    return ""
