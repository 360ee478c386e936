#!/bin/sh
# Brings the pipeline up in containers and returns when changes flow. Safe to repeat; arguments go to `docker compose up`,
# such as --scale generator=0. The first run writes passwords to .env (mode 600); what is there stays.
set -eu
cd "$(dirname "$0")/.."
docker compose version > /dev/null 2>&1 || { echo 'Docker with Compose v2 is needed: https://docs.docker.com/compose/install' >&2; exit 3; }
env=${SLUICE_ENV_FILE:-.env}
umask 077
touch "$env"
chmod 600 "$env"
[ -z "$(tail -c 1 "$env")" ] || echo >> "$env" # a last line without an end
for name in POSTGRES_PASSWORD SLUICE_REPLICATION_PASSWORD SLUICE_READER_PASSWORD SLUICE_WRITER_PASSWORD REDIS_PASSWORD SLUICE_REDIS_PASSWORD; do
  grep -q "^$name=." "$env" || echo "$name=$(head -c 24 /dev/urandom | base64 | tr '+/' '-_')" >> "$env"
done
compose() { docker compose --env-file "$env" "$@"; }

compose up -d --build "$@"
printf 'waiting until changes flow '
for _ in $(seq 100); do
  if compose exec -T worker sluice status > /dev/null 2>&1; then
    echo
    exec docker compose --env-file "$env" exec -T worker sluice status
  fi
  printf .
  sleep 3
done
echo
echo 'Not healthy after five minutes and more:' >&2
compose exec -T worker sluice status >&2 || compose ps --all >&2
exit 3
