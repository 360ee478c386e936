#!/bin/sh
# Entry point of the image: one of our processes by its name (cdc-consumer, worker, …), otherwise a command of sluice (setup, verify, …).
set -eu
flags='--enable-source-maps --disable-warning=TimeoutNegativeWarning' # the warning is about kafkajs, which computes a pause that is over
program=/app/dist/main/${1:-cli}.js
case "${1:-}" in
  cdc-consumer | stream-consumer | alerts-consumer)
    # In its group a consumer is called as its container: no two are alike, and one that is started again takes up where it was.
    export KAFKA_INSTANCE_ID="${KAFKA_INSTANCE_ID:-$(hostname)}"
    exec node $flags --max-semi-space-size=32 "$program"
    ;;
  worker | generator) exec node $flags "$program" ;;
  *) exec node $flags /app/dist/main/cli.js "$@" ;;
esac
