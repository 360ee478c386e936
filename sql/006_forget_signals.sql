-- The role that signals may remove what was signalled before, and no row of its choice.
CREATE FUNCTION cdc.forget_signals(keep text) RETURNS void
  LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
  AS 'DELETE FROM cdc.signal WHERE id <> keep';
REVOKE ALL ON FUNCTION cdc.forget_signals(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION cdc.forget_signals(text) TO sluice_replication;
REVOKE DELETE ON cdc.signal FROM sluice_replication;
