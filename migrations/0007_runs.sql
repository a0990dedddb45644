-- When a copy last wrote to this database: a flipgate that gathers evidence begins another epoch then.
CREATE TABLE IF NOT EXISTS migration_runs (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    ended_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE migration_runs IS 'copies that wrote something; the last one begins an epoch of evidence';
