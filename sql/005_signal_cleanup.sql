-- Whoever asks for a snapshot first removes what earlier ones have left: without that the table grows for ever.
GRANT DELETE ON cdc.signal TO sluice_replication;
