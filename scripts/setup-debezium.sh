#!/bin/sh
# Prepares the servers in the containers again (schema, roles, topics, Redis user, connector) and shows the connector. Safe to repeat.
set -eu
cd "$(dirname "$0")/.."
docker compose --env-file "${SLUICE_ENV_FILE:-.env}" run --rm --no-deps setup
exec docker compose --env-file "${SLUICE_ENV_FILE:-.env}" exec -T worker sluice connector status
