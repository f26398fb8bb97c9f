#!/bin/sh
# Finds a Python that can run Redoubt and prints its name; else says in one line what to install, and exits 1.
set -eu

missing() {
    printf 'redoubt: %s\n' "$1" >&2
    exit 1
}

# Debian's own way is named where there is one; elsewhere the name of the thing has to do.
if command -v apt-get >/dev/null 2>&1; then
    install="run: sudo apt-get install"
else
    install="install with your system's package manager:"
fi

recent() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; }

found=
for candidate in ${PYTHON:-} python3 python3.14 python3.13 python3.12 python3.11; do
    if command -v "$candidate" >/dev/null 2>&1 && recent "$candidate"; then
        found=$candidate
        break
    fi
done
if [ -z "$found" ]; then
    if command -v python3 >/dev/null 2>&1; then
        have=$(python3 -c 'import platform; print(platform.python_version())')
        missing "Python 3.11 or newer is needed, python3 is $have; $install python3.11 python3.11-venv"
    fi
    missing "Python 3.11 or newer is needed and there is none; $install python3 python3-venv"
fi

version=$("$found" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
"$found" -c 'import venv, ensurepip' >/dev/null 2>&1 ||
    missing "$found has no venv module; $install python$version-venv"
for program in openssl git; do
    command -v "$program" >/dev/null 2>&1 || missing "$program is missing; $install $program"
done
printf '%s\n' "$found"
