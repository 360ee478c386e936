#!/usr/bin/env bash
# The containers from nothing to nothing: up, a change reaches Redis, a batch run, an alert, verify, a killed service, down -v.
# Under a project name, volumes and passwords of its own; the ports of docker-compose.yml must be free. Builds only our own images.
set -euo pipefail
cd "$(dirname "$0")/.."
export COMPOSE_PROJECT_NAME=sluice-smoke COMPOSE_ANSI=never
SLUICE_ENV_FILE=$(mktemp)
export SLUICE_ENV_FILE

compose() { docker compose --env-file "$SLUICE_ENV_FILE" "$@"; }
sluice() { compose exec -T worker sluice "$@"; }
sql() { compose exec -T postgres psql -qtAU postgres source_db -c "$1"; }
redis() { compose exec -T redis sh -c 'REDISCLI_AUTH=$REDIS_PASSWORD redis-cli "$@"' -- "$@"; }
step() { echo "[$((SECONDS - began)) s] $*"; }
fail() {
  step "FAILED: $*" >&2
  compose ps --all >&2 || true
  compose logs --no-color --tail 30 >&2 || true
  exit 1
}
# until WHAT SECONDS COMMAND…: repeats the command until it succeeds.
until_true() {
  local what=$1 deadline=$((SECONDS + $2))
  shift 2
  until "$@" > /dev/null 2>&1; do
    ((SECONDS < deadline)) || fail "not in time: $what"
    sleep 1
  done
  step "$what"
}
end() {
  compose down -v --timeout 20 > /dev/null 2>&1
  rm -f "$SLUICE_ENV_FILE"
}

change_arrives() {
  local id
  id=$(sql "INSERT INTO customers (first_name, last_name, email) VALUES ('Smoke', 'Test', gen_random_uuid()::text) RETURNING id")
  until_true "customer $id is in Redis" 60 in_redis "customer:$id"
}
in_redis() { [ "$(redis EXISTS "$1")" = 1 ]; }
alert_is_open() { sluice alerts ls --json | grep -q high_value_order; }
is_back() { [ "$(docker inspect -f '{{.State.Health.Status}} {{.RestartCount}}' "$1")" = 'healthy 1' ]; }

began=$SECONDS
trap end EXIT
[ -z "$(compose ps --all --quiet)" ] || compose down -v
scripts/start-etl.sh --scale cdc-consumer=2 || fail 'start-etl.sh'
step 'changes flow'
scripts/start-etl.sh --scale cdc-consumer=2 > /dev/null || fail 'start-etl.sh, again'
step 'a second start changes nothing'
change_arrives
sluice batch run --json | grep -q '"status": "COMPLETED"' || fail 'sluice batch run'
step 'a batch run is complete'
sluice generate --anomaly high-value > /dev/null
until_true 'an alert is open' 90 alert_is_open
sluice verify || fail 'sluice verify'
step 'the replica equals the source'

# As a crash would: docker kill counts as a stop by hand, after which nothing comes back.
victim=$(compose ps --quiet stream-consumer)
docker run --rm --pid host --user 0 --entrypoint sh sluice:0.1.0 -c "kill -KILL $(docker inspect -f '{{.State.Pid}}' "$victim")"
until_true 'the killed stream consumer is back' 90 is_back "$victim"
change_arrives
scripts/setup-debezium.sh > /dev/null || fail 'setup-debezium.sh'
scripts/monitor-etl.sh > /dev/null || fail 'monitor-etl.sh'
sluice verify > /dev/null || fail 'sluice verify, after the kill'
step 'setup changes nothing, everything is healthy, the replica equals the source'

compose down -v --timeout 20
[ -z "$(docker ps --all --quiet --filter label=com.docker.compose.project=sluice-smoke)$(docker volume ls --quiet --filter label=com.docker.compose.project=sluice-smoke)" ] || fail 'down -v left something'
step 'passed, and nothing is left'
