-- One role per job, each with no more than its job needs. Passwords are set apart from here.
-- Roles belong to the whole server, so they may exist already.

DO $$
BEGIN
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'sluice_replication') THEN
    CREATE ROLE sluice_replication;
  END IF;
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'sluice_reader') THEN
    CREATE ROLE sluice_reader;
  END IF;
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'sluice_writer') THEN
    CREATE ROLE sluice_writer;
  END IF;
  EXECUTE format('REVOKE ALL ON DATABASE %I FROM PUBLIC', current_database());
  EXECUTE format('GRANT CONNECT ON DATABASE %I TO sluice_replication, sluice_reader, sluice_writer', current_database());
END
$$;

ALTER ROLE sluice_replication LOGIN REPLICATION;
ALTER ROLE sluice_reader LOGIN;
ALTER ROLE sluice_writer LOGIN;

REVOKE ALL ON SCHEMA public, cdc FROM PUBLIC;
GRANT USAGE ON SCHEMA public TO sluice_replication, sluice_reader, sluice_writer;
GRANT USAGE ON SCHEMA cdc TO sluice_replication, sluice_reader;

GRANT SELECT ON public.customers, public.products, public.orders, public.order_items TO sluice_replication;
GRANT SELECT, INSERT, UPDATE ON cdc.heartbeat, cdc.signal TO sluice_replication;

GRANT SELECT ON public.customers, public.products, public.orders, public.order_items, cdc.heartbeat TO sluice_reader;
GRANT EXECUTE ON FUNCTION pg_control_system() TO sluice_reader;

GRANT SELECT, INSERT, UPDATE, DELETE ON public.customers, public.products, public.orders, public.order_items TO sluice_writer;
GRANT USAGE ON SEQUENCE public.customers_id_seq, public.products_id_seq, public.orders_id_seq, public.order_items_id_seq TO sluice_writer;
