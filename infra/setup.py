"""What set-up installs beside the Python packages: Java, jars, MinIO, Prometheus; for the tests Chromium too.

`python -m infra.setup [jars|minio|chromium]`, standard library only.
"""

from __future__ import annotations

import shutil
import signal
import sys

from infra.cache import cache_dir
from infra.chromium import ensure_chromium
from infra.ivy import ensure_jars, jars_folder
from infra.java import ensure_java
from infra.minio_server import ensure_minio, minio_binary
from infra.monitoring.programs import ensure_monitoring
from infra.steps import SetupError, fail
from lakehouse.errors import GlobalMartError

_NEEDED_GB = 4


def missing() -> list[str]:
    """What set-up would still have to install, in words."""
    found = {"the jars of Spark and Kafka": jars_folder(), "the MinIO server": minio_binary()}
    return [what for what, path in found.items() if not path.exists()]


def install() -> None:
    """Install all that is missing. Raises SetupError with one sentence."""
    if missing():
        cache_dir().mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(cache_dir()).free / 2**30
        if free < _NEEDED_GB:
            raise SetupError(
                f"Set-up needs {_NEEDED_GB} GiB in {cache_dir()}, and {free:.1f} GiB are free: make room first."
            )
    ensure_java()
    ensure_jars()
    ensure_minio()
    ensure_monitoring()


def main() -> int:
    # A SIGTERM unwinds like an exit, so that the running step is ended with us.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        if sys.argv[1:] == ["jars"]:
            ensure_jars()
        elif sys.argv[1:] == ["minio"]:
            ensure_minio()
        elif sys.argv[1:] == ["chromium"]:
            ensure_chromium()
        else:
            install()
    except GlobalMartError as error:
        fail(error)
        return 1
    except OSError as error:
        fail(SetupError(f"Set-up cannot write to {cache_dir()}: {error.strerror}."))
        return 1
    except KeyboardInterrupt:
        fail(SetupError("Set-up was interrupted; run it again and it goes on where it stopped."))
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
