-- What the replicas of one flipgate share (src/state/shared.rs), in a schema of its own beside the content.
-- Every statement may run again. Documents are text, since jsonb would refuse NUL and rewrite numbers.

DO $$
BEGIN
    -- CREATE SCHEMA IF NOT EXISTS asks for the right to make schemas even where this one is there.
    IF to_regnamespace('flipgate') IS NULL THEN
        CREATE SCHEMA flipgate;
    END IF;
END
$$;

-- All that is committed: one row, changed by compare-and-set on its version.
CREATE TABLE IF NOT EXISTS flipgate.record (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    version bigint NOT NULL,
    document text NOT NULL,
    written_at timestamptz NOT NULL DEFAULT now()
);

-- It only grows.
CREATE TABLE IF NOT EXISTS flipgate.audit (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    document text NOT NULL,
    written_at timestamptz NOT NULL DEFAULT now()
);

-- What operators accepted.
CREATE TABLE IF NOT EXISTS flipgate.judgements (
    finding text PRIMARY KEY,
    document text NOT NULL
);

-- Evidence: one document of each kind, key and replica. The digest stands for kind and key, which may be longer than an
-- index takes. `tx` is the transaction that wrote the row last: what is new is what an earlier snapshot does not see.
CREATE TABLE IF NOT EXISTS flipgate.evidence (
    digest text NOT NULL,
    replica text NOT NULL,
    kind text NOT NULL,
    key text NOT NULL,
    document text NOT NULL,
    written_at timestamptz NOT NULL DEFAULT now(),
    tx xid8 NOT NULL DEFAULT pg_current_xact_id(),
    id bigint GENERATED ALWAYS AS IDENTITY,
    PRIMARY KEY (digest, replica)
);
CREATE INDEX IF NOT EXISTS evidence_tx ON flipgate.evidence (tx, id);

-- Findings: one row each, to which every replica adds what it counted. Without a state it is open.
CREATE TABLE IF NOT EXISTS flipgate.findings (
    finding text PRIMARY KEY,
    document text NOT NULL,
    count bigint NOT NULL,
    first_seen timestamptz NOT NULL,
    last_seen timestamptz NOT NULL,
    state text CHECK (state IN ('open', 'accepted', 'resolved')),
    tx xid8 NOT NULL DEFAULT pg_current_xact_id(),
    id bigint GENERATED ALWAYS AS IDENTITY
);
CREATE INDEX IF NOT EXISTS findings_tx ON flipgate.findings (tx, id);

-- Samples; `arrival` is their age.
CREATE TABLE IF NOT EXISTS flipgate.samples (
    id bigint PRIMARY KEY,
    document text NOT NULL,
    arrival bigint GENERATED ALWAYS AS IDENTITY
);

-- A small number for each replica, from which it makes the ids of its samples.
CREATE SEQUENCE IF NOT EXISTS flipgate.replicas;
