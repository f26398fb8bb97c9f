#!/bin/sh
# Unpacks Debian's nginx and twemproxy into bench/build/peers where the system has none.
# Unpacked and not installed: an installed nginx would listen on port 80 of whoever measures.
# What cannot be had is left out; the run says so in a line.
set -u
cd "$(dirname "$0")" || exit 0
command -v apt-get >/dev/null 2>&1 && command -v dpkg-deb >/dev/null 2>&1 || exit 0

wanted=
PATH=$PATH:/usr/sbin:/usr/local/sbin
command -v nutcracker >/dev/null 2>&1 || [ -x build/peers/usr/sbin/nutcracker ] || wanted="$wanted nutcracker"
command -v nginx >/dev/null 2>&1 || [ -x build/peers/usr/sbin/nginx ] || wanted="$wanted nginx libnginx-mod-stream"
[ -n "$wanted" ] || exit 0
# One try a day: without a network every run would wait for it.
[ -z "$(find build/peers.tried -mtime -1 2>/dev/null)" ] || exit 0
mkdir -p build/packages build/peers
touch build/peers.tried

# shellcheck disable=SC2086  # a list of packages
(cd build/packages && timeout 60 apt-get -qq download $wanted) </dev/null >/dev/null 2>&1
for package in build/packages/*.deb; do
    [ -f "$package" ] && dpkg-deb -x "$package" build/peers
done
rm -rf build/packages
exit 0
