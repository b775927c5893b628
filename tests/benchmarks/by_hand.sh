#!/bin/sh
# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# The restore as one types it: a scratch server, the engine's own command line, and the end of the server.
# Usage: by_hand.sh BIN_DIR FOLDER DUMP JOBS      (not as root: PostgreSQL refuses)
set -eu
bin=$1 folder=$2 dump=$3 jobs=$4
"$bin/initdb" -D "$folder/data" -U postgres -A trust -E UTF8 --locale=C -N --no-instructions >/dev/null
"$bin/pg_ctl" -s -w -D "$folder/data" -l "$folder/log" start \
    -o "-k $folder -c listen_addresses= -c fsync=off -c full_page_writes=off -c synchronous_commit=off -c shared_buffers=64MB"
trap '"$bin/pg_ctl" -s -m immediate -D "$folder/data" stop' EXIT
"$bin/createdb" -h "$folder" -U postgres -T template0 scratch
case $dump in
*.sql.gz) gzip -dc "$dump" | "$bin/psql" -q -X -v ON_ERROR_STOP=1 -h "$folder" -U postgres -d scratch >/dev/null ;;
*) "$bin/pg_restore" --exit-on-error -j "$jobs" -h "$folder" -U postgres -d scratch "$dump" ;;
esac
"$bin/psql" -q -X -A -t -h "$folder" -U postgres -d scratch -c "SELECT count(*) FROM orders"
