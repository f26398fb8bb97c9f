#!/bin/sh
# Usage: compiled_tests.sh [pytest's arguments]
# The tests of what is compiled, on the compiled build in build/compiled: not those that put other code in place of ours
# while they run, since compiled code calls its own.
set -eu
here=$(cd "$(dirname "$0")/.." && pwd)
PYTHONPATH="$here/build/compiled:$here/tools"
export PYTHONPATH
exec "$here/.venv/bin/pytest" -p no_skips -p compiled_only -q \
    -m "not system and not replaces_code" tests/hsm_wire tests/proxy tests/simulation "$@"
