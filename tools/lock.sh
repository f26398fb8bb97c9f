#!/bin/sh
# Writes requirements.lock, -dev.lock and -docs.lock from pyproject.toml: every Python from 3.11, every platform,
# each wheel by its SHA-256, no address of any registry. Needs uv (pip install uv).
set -eu
cd "$(dirname "$0")/.."
uv=$(command -v uv || echo .venv/bin/uv)
build=$(mktemp)
trap 'rm -f "$build"' EXIT
# The editable install builds without isolation, so the build tool is pinned with the rest.
python3 -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["build-system"]["requires"], sep="\n")' >"$build"

lock() {
    file=$1
    shift
    {
        printf '# Made by `make lock` from pyproject.toml; do not edit. Every wheel is pinned by its SHA-256.\n'
        "$uv" pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
            --no-header --no-annotate pyproject.toml "$build" "$@"
    } >"$file.new"
    mv "$file.new" "$file"
}
lock requirements.lock
lock requirements-dev.lock --group dev
lock requirements-docs.lock --group docs
