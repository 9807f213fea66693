#!/usr/bin/env bash
# Set-up from the package registries: uv, .venv from the lock file, the globalmart command, then Java, jars and MinIO.
# A second run finds everything in place and takes a second or two.
set -euo pipefail
cd "$(dirname "$0")/.."

UV_VERSION=0.13.9
CACHE="${GLOBALMART_CACHE_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/globalmart}"
LOGS="$CACHE/logs"

say() { printf '  %s\n' "$*"; }
die() { printf 'Error: %s\n' "$*" >&2; exit 1; }
checksum() { cat "$@" | cksum | tr ' ' '-'; }

# step TITLE COMMAND...: run it with its output in a log; on failure one sentence.
step() {
  local title="$1" log
  shift
  log="$LOGS/$(printf '%s' "$title" | tr -cs 'a-zA-Z0-9' '-').log"
  say "$title …"
  local begin=$SECONDS
  if ! "$@" >"$log" 2>&1 </dev/null; then
    if grep -qiE 'no space left' "$log"; then
      die "$title failed: the disk is full; free some space and run 'make setup' again. (log: $log)"
    elif grep -qiE 'dns error|error sending request|name resolution|Failed to establish|unreachable|timed out|client error' "$log"; then
      die "$title failed: the package registry does not answer; check the network and run 'make setup' again. (log: $log)"
    fi
    die "$title failed: $(grep -v '^ *$' "$log" | tail -n 1) (log: $log)"
  fi
  say "$title: done in $((SECONDS - begin)) s"
}

install_uv() {
  local python
  python="$(command -v python3)" || return 1
  rm -rf "$CACHE/uv.partial"
  "$python" -m venv "$CACHE/uv.partial" && "$CACHE/uv.partial/bin/python" -m pip install --quiet "uv==$UV_VERSION" \
    && mkdir -p "$CACHE/uv/bin" && mv -f "$CACHE/uv.partial/bin/uv" "$CACHE/uv/bin/uv" && rm -rf "$CACHE/uv.partial"
}

mkdir -p "$LOGS" || die "Set-up cannot write to $CACHE: name another folder in GLOBALMART_CACHE_DIR."

if [ -x "$CACHE/uv/bin/uv" ]; then
  UV="$CACHE/uv/bin/uv"
elif ! UV="$(command -v uv)"; then
  command -v python3 >/dev/null || die "Set-up needs Python 3.11 or 3.12 (with venv and pip), and there is no python3 on PATH."
  step "uv: installing $UV_VERSION" install_uv
  UV="$CACHE/uv/bin/uv"
fi
export GLOBALMART_UV="$UV"

if ! .venv/bin/python -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 13))' 2>/dev/null; then
  step "Python environment: creating .venv" "$UV" venv --quiet --clear --python '>=3.11,<3.13' .venv
fi

# The longest step needs none of the Python packages: it runs beside them.
MINIO=""
if [ ! -f .venv/.globalmart-packages ] || ! .venv/bin/python -c 'import sys, infra.setup; sys.exit(bool(infra.setup.missing()))'; then
  .venv/bin/python -m infra.setup minio 2>/dev/null &
  MINIO=$!
  trap 'kill "$MINIO" 2>/dev/null || true' EXIT
fi

STAMP="$(checksum requirements.lock pyproject.toml) $PWD"
if [ "$(cat .venv/.globalmart-packages 2>/dev/null)" != "$STAMP" ]; then
  step "Python packages: installing from requirements.lock" "$UV" pip sync --quiet --python .venv/bin/python requirements.lock
  step "The globalmart command: installing" "$UV" pip install --quiet --python .venv/bin/python --no-deps --no-build-isolation --editable .
  printf '%s\n' "$STAMP" >.venv/.globalmart-packages
fi

.venv/bin/python -m infra.setup
# Its outcome was judged by the line above, which waited for it.
[ -z "$MINIO" ] || wait "$MINIO" || true
