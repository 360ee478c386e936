-- What Debezium reads and the two tables it writes.
-- REPLICA IDENTITY FULL: an update carries unchanged TOASTed columns too, so every image is whole.

ALTER TABLE public.customers REPLICA IDENTITY FULL;
ALTER TABLE public.products REPLICA IDENTITY FULL;
ALTER TABLE public.orders REPLICA IDENTITY FULL;
ALTER TABLE public.order_items REPLICA IDENTITY FULL;

CREATE SCHEMA cdc;

-- One row whose journey through the whole pipeline shows that it lives; it also lets the slot move on in quiet times.
CREATE TABLE cdc.heartbeat (
  id  integer PRIMARY KEY,
  ts  timestamptz
);

-- Commands to the connector, such as an incremental snapshot.
CREATE TABLE cdc.signal (
  id    text PRIMARY KEY,
  type  text,
  data  text
);

CREATE PUBLICATION sluice FOR TABLE
  public.customers, public.products, public.orders, public.order_items, cdc.heartbeat, cdc.signal
  WITH (publish_via_partition_root = true);
