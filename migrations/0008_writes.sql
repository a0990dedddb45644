-- Writes that flipgate applied itself: each once, however often it is sent.

-- The row is inserted first and committed with the change, so that a second transaction with the same id waits for the
-- first. Status 0 says that the write was given up and never will be applied.
CREATE TABLE IF NOT EXISTS flipgate_writes (
    id     text COLLATE "C" PRIMARY KEY,
    at     timestamptz NOT NULL,
    status integer NOT NULL,
    effect text,
    answer text NOT NULL DEFAULT ''
);
CREATE INDEX IF NOT EXISTS flipgate_writes_at_idx ON flipgate_writes (at);

-- A deletion of a name that no record had: it holds every record of that name.
ALTER TABLE tombstones ADD COLUMN IF NOT EXISTS named boolean NOT NULL DEFAULT false;

COMMENT ON TABLE flipgate_writes IS 'ids of writes applied by flipgate, with what was answered; forgotten once all before them ended';
COMMENT ON COLUMN tombstones.named IS 'nothing was there when it was deleted by this name';
