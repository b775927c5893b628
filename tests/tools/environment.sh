#!/bin/sh
# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Makes .venv in the checkout, or brings it up to date. Does nothing when nothing changed since the last time.
# Usage: environment.sh demo|dev      (PYTHON=... chooses the interpreter)
set -eu
cd "$(dirname "$0")/../.."
root=$(pwd -P)
want=${1:?demo or dev}

files="requirements.txt requirements-demo.txt"
[ -f requirements-sandbox.txt ] && files="$files requirements-sandbox.txt"
[ "$want" = dev ] && files="$files requirements-optional.txt requirements-dev.txt"

# Two makes at once: the second waits. flock is in util-linux, which Debian always has.
mkdir -p build/log
if command -v flock >/dev/null 2>&1; then
    exec 9>build/environment.lock
    flock 9
fi

# The environment knows its own path, so a checkout that was moved needs a new one.
if [ -e .venv ] && { [ "$(cat .venv/made-at 2>/dev/null)" != "$root" ] || ! .venv/bin/python -c '' 2>/dev/null; }; then
    rm -rf .venv
fi
if [ ! -e .venv ]; then
    python=$(sh tests/tools/find_python.sh "${PYTHON:-}")
    "$python" -m venv .venv
    printf '%s\n' "$root" >.venv/made-at
fi

stamp=.venv/installed-$want
# shellcheck disable=SC2086 # a list of names without spaces
state=$(.venv/bin/python -V; cat $files)
[ -f "$stamp" ] && [ "$(cat "$stamp")" = "$state" ] && exit 0

arguments=
for file in $files; do
    arguments="$arguments -r $file"
done
# shellcheck disable=SC2086 # a list of names without spaces
names=$(cat $files | sed -n 's/^\([A-Za-z][A-Za-z0-9._-]*\).*/\1/p' | awk '!seen[$0]++' | paste -sd ' ' -)
echo "Installing into .venv, from PyPI or your pip's index: $names"
# shellcheck disable=SC2086 # a list of arguments
if ! .venv/bin/python -m pip --disable-pip-version-check install $arguments >build/log/pip.log 2>&1; then
    tail -n 20 build/log/pip.log >&2
    echo "pip could not install $files (all of its output: build/log/pip.log)." >&2
    echo "Behind a mirror or a proxy, tell pip as usual: PIP_INDEX_URL, PIP_PROXY, pip.conf." >&2
    exit 1
fi
printf '%s' "$state" >"$stamp"
