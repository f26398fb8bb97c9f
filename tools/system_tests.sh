#!/bin/sh
# Usage: system_tests.sh WORKERS [pytest's arguments]
# What make test-system runs: first everything that only counts and waits, side by side; then, one at a time, what holds
# bounds in seconds (marked `alone`). Both parts run, whatever the first one finds.
set -u
workers=$1
shift
found=5
# Three tenths of the table's lengths and repetitions keeps it below 45 minutes; REDOUBT_SCALE=1 is all of it.
REDOUBT_SCALE=${REDOUBT_SCALE:-0.3}
export REDOUBT_SCALE

part() {
    marked=$1
    shift
    # A line for each test: what fails is seen when it does, not after half an hour.
    .venv/bin/pytest -p no_skips -v -m "$marked" tests "$@"
    code=$?
    # 5: nothing was selected, which is a failure only where it is so of both parts.
    if [ "$code" -ne 5 ] && [ "$found" -ne 1 ]; then
        [ "$code" -eq 0 ] && found=0 || found=1
    fi
}

# They wait more than they work: one more than there are workers keeps the processors busy.
part "system and not alone" -n "$((workers + 1))" --dist loadfile "$@"
part "system and alone" "$@"
exit "$found"
