#!/bin/sh
# Containers, connector, replication slot, lag, heartbeat; with --watch every five seconds. Exit code 3 when `sluice status` says unhealthy.
set -eu
cd "$(dirname "$0")/.."
show() {
  docker compose --env-file "${SLUICE_ENV_FILE:-.env}" ps --all --format 'table {{.Name}}\t{{.Status}}'
  docker compose --env-file "${SLUICE_ENV_FILE:-.env}" exec -T worker sluice status
}
[ "${1:-}" = --watch ] || { show; exit; }
while :; do
  clear
  show || true
  sleep 5
done
