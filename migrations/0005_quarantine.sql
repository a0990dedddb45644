-- Source rows that no table can hold, whole and with the reason: kept until they are stored, gone from the source, or
-- resolved by someone.

CREATE TABLE IF NOT EXISTS migration_quarantine (
    id           bigserial PRIMARY KEY,
    source_table text NOT NULL,
    source_key   text NOT NULL,
    reason       text NOT NULL,
    source_row   jsonb NOT NULL,
    first_seen   timestamptz NOT NULL DEFAULT now(),
    last_seen    timestamptz NOT NULL DEFAULT now(),
    resolved_at  timestamptz,
    resolution   text,
    UNIQUE (source_table, source_key)
);

COMMENT ON COLUMN migration_quarantine.source_key IS 'id of the row in the SQLite table, or rowid:N where that is no text';
