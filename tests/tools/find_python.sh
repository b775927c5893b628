#!/bin/sh
# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Prints the path of the first Python that can make the environment: 3.11 or newer, with venv and pip's installer.
# Usage: find_python.sh [python-the-user-asked-for]
set -u

probe='
import sys
import venv, ensurepip
if sys.version_info < (3, 11):
    sys.exit(1)
print(sys.executable)
'

if [ -n "${1:-}" ]; then
    candidates=$1
else
    candidates="python3 python3.13 python3.12 python3.11 python3.14 /usr/bin/python3"
fi

seen=
# A shim may print its own error for a version it does not have: only the answer counts. (A name with a space in it
# can be given as $1 alone.)
IFS_BEFORE=$IFS
[ -n "${1:-}" ] && IFS=
for candidate in $candidates; do
    if found=$("$candidate" -c "$probe" 2>/dev/null) && [ -n "$found" ]; then
        printf '%s\n' "$found"
        exit 0
    fi
    if version=$("$candidate" --version 2>&1); then
        seen="$seen $candidate is '$version';"
    fi
done
IFS=$IFS_BEFORE

cat >&2 <<TXT
No Python 3.11 or newer with the modules venv and ensurepip was found (tried: $candidates).${seen:+ Seen:$seen}
Install one, on Debian and Ubuntu:   apt-get install python3 python3-venv
or name one:                         make PYTHON=/path/to/python3.12 ...
TXT
exit 1
