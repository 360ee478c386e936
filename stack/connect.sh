#!/bin/sh
# Kafka Connect in its container: fills connect.properties and hands over.
set -eu
sed -e "s|\${KAFKA_BROKERS}|$KAFKA_BROKER|" \
    -e 's|${CONNECT_LISTEN}|0.0.0.0|' -e "s|\${CONNECT_HOST}|$(hostname -i | cut -d' ' -f1)|" -e 's|${CONNECT_PORT}|8083|' \
    -e 's|${PLUGIN_DIR}|/opt/sluice/plugins|' /opt/sluice/connect.properties > /tmp/connect.properties
exec /opt/kafka/bin/connect-distributed.sh /tmp/connect.properties
