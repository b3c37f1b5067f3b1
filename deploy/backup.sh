#!/usr/bin/env bash
# A backup of a peer's home as a tar archive on standard output, while the server runs or not:
#
#   deploy/backup.sh /var/lib/mutuals | age -r age1... > mutuals-$(date +%F).tar.age
#
# It holds what makes the peer this peer: config.toml, card.json, keys/ and the store. It leaves out keys/runs/, because
# a backup of these shares would keep readable what must be destroyable, and what is of no use elsewhere (spool, locks,
# log). Encrypt it: whoever has it and an operator's passphrase can sign as that operator. A store on PostgreSQL is not in
# it: pg_dump. To restore, unpack it into an empty folder of the same user: docs/operations.md#backup-and-restore
set -euo pipefail
umask 077

home=${1:?usage: backup.sh HOME > FILE}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

parts=(-C "$home" --exclude=./keys/runs --exclude='./store.sqlite*' --exclude=./spool --exclude=./locks --exclude=./log .)
if [[ -e $home/store.sqlite ]]; then
  # A file that is written to cannot just be copied; SQLite's own backup takes it whole.
  python3 - "$home/store.sqlite" "$work/store.sqlite" <<'PY'
import sqlite3, sys
sqlite3.connect(f"file:{sys.argv[1]}?mode=ro", uri=True).backup(sqlite3.connect(sys.argv[2]))
PY
  parts+=(-C "$work" store.sqlite)
fi
tar -c "${parts[@]}"
