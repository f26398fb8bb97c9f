#!/bin/sh
# system_components.sh TARGET: installs what TARGET needs of system_components.txt, where this user may.
# Exits 1 when CI=true and something is still missing; otherwise says so and goes on.
# A package that is a file of this folder is a program that fetches what is lacking, and says where it cannot.
set -eu
target=$1
tools=$(dirname "$0")
table=$tools/system_components.txt

lacking() {
    while read -r program package targets _; do
        case $program in '' | '#'*) continue ;; esac
        case ",$targets," in *",$target,"*) ;; *) continue ;; esac
        case $package in *.py) continue ;; esac
        command -v "$program" >/dev/null 2>&1 || printf '%s ' "$package" | tr , ' '
    done <"$table"
}

fetched() {
    all=0
    while read -r program package targets _; do
        case $program in '' | '#'*) continue ;; esac
        case ",$targets," in *",$target,"*) ;; *) continue ;; esac
        case $package in *.py) ;; *) continue ;; esac
        "$tools/../.venv/bin/python" "$tools/$package" </dev/null >/dev/null || all=1
    done <"$table"
    return $all
}

fetched || [ "${CI:-}" != true ] || exit 1
packages=$(lacking)
[ -n "$packages" ] || exit 0

as_root=none
if [ "$(id -u)" = 0 ]; then
    as_root=
elif command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; then
    as_root="sudo -n"
fi
if [ "$as_root" != none ] && command -v apt-get >/dev/null 2>&1; then
    # A failed update is not yet a failure: the package may be in the lists that are there.
    $as_root apt-get update -qq </dev/null >/dev/null 2>&1 || true
    # shellcheck disable=SC2086  # a list of packages
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $packages \
        </dev/null >/dev/null || true
fi

packages=$(lacking)
[ -n "$packages" ] || exit 0
printf 'redoubt: make %s lacks: %s(install with: sudo apt-get install %s)\n' "$target" "$packages" "$packages" >&2
[ "${CI:-}" != true ]
