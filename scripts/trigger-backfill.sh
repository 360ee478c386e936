#!/bin/sh
# Backfills the batch from FROM (inclusive) to TO (exclusive), UTC, a window for every EVERY (1d), and waits for it.
# Ends with the exit code of `sluice backfill`: 0 done, 1 some windows failed, 2 wrong usage, 3 not reachable.
set -eu
if [ "$#" -lt 2 ] || [ "$#" -gt 3 ]; then
  echo "usage: scripts/trigger-backfill.sh FROM TO [EVERY], such as 2026-11-01 2026-11-08 1d" >&2
  exit 2
fi
exec node "$(dirname "$0")/../bin/sluice.mjs" backfill --from "$1" --to "$2" --every "${3:-1d}" --wait
