-- The audit ledger: a table to which rows can be added and nothing else, for whoever it is that asks.
--
-- The role that runs this owns it. In production that is a role of its own, see `roles.sql`.

CREATE SCHEMA IF NOT EXISTS fp_audit;
REVOKE ALL ON SCHEMA fp_audit FROM PUBLIC;

CREATE TABLE fp_audit.ledger (
    seq bigint NOT NULL,
    recorded_at timestamptz NOT NULL,
    segment text NOT NULL,
    position integer NOT NULL,
    record text NOT NULL, -- canonical JSON, byte by byte what is sealed; json types would rewrite it
    hash bytea NOT NULL CHECK (octet_length(hash) = 32),
    PRIMARY KEY (seq, recorded_at)
) PARTITION BY RANGE (recorded_at);

CREATE INDEX ledger_segment ON fp_audit.ledger (segment);

CREATE TABLE fp_audit.checkpoints (
    seq bigint NOT NULL,
    checkpoint text NOT NULL,
    PRIMARY KEY (seq, checkpoint)
);

CREATE FUNCTION fp_audit.refuse() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    RAISE EXCEPTION 'the audit ledger is append-only: % is refused', TG_OP USING ERRCODE = 'insufficient_privilege';
END
$function$;

-- A partition per month: what is older than the law asks for is detached and archived as a whole, never deleted row by
-- row. Rows of a month follow each other in the chain, so the rest stays verifiable from the checkpoint at its start.
CREATE FUNCTION fp_audit.prepare_month(moment timestamptz) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET timezone = 'UTC'
AS $function$
DECLARE
    first timestamptz := date_trunc('month', moment);
    partition text := 'ledger_' || to_char(first, 'YYYY_MM');
BEGIN
    IF EXISTS (
        SELECT FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
        WHERE n.nspname = 'fp_audit' AND c.relname = partition
    ) THEN
        RETURN;
    END IF;
    EXECUTE format(
        'CREATE TABLE fp_audit.%I PARTITION OF fp_audit.ledger FOR VALUES FROM (%L) TO (%L)',
        partition, first, first + interval '1 month'
    );
    -- Row triggers come from the parent; TRUNCATE of a partition asks the partition's own.
    EXECUTE format(
        'CREATE TRIGGER append_only_truncate BEFORE TRUNCATE ON fp_audit.%I EXECUTE FUNCTION fp_audit.refuse()', partition
    );
    EXECUTE format('ALTER TABLE fp_audit.%I ENABLE ALWAYS TRIGGER append_only_truncate', partition);
    EXECUTE format('ALTER TABLE fp_audit.%I ENABLE ALWAYS TRIGGER append_only', partition);
END
$function$;
REVOKE ALL ON FUNCTION fp_audit.prepare_month(timestamptz) FROM PUBLIC;
REVOKE ALL ON FUNCTION fp_audit.refuse() FROM PUBLIC;

-- ENABLE ALWAYS: they fire for the owner and superusers too, and with session_replication_role = replica.
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON fp_audit.ledger
    FOR EACH ROW EXECUTE FUNCTION fp_audit.refuse();
CREATE TRIGGER append_only_truncate BEFORE TRUNCATE ON fp_audit.ledger EXECUTE FUNCTION fp_audit.refuse();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON fp_audit.checkpoints
    FOR EACH ROW EXECUTE FUNCTION fp_audit.refuse();
CREATE TRIGGER append_only_truncate BEFORE TRUNCATE ON fp_audit.checkpoints EXECUTE FUNCTION fp_audit.refuse();
ALTER TABLE fp_audit.ledger ENABLE ALWAYS TRIGGER append_only, ENABLE ALWAYS TRIGGER append_only_truncate;
ALTER TABLE fp_audit.checkpoints ENABLE ALWAYS TRIGGER append_only, ENABLE ALWAYS TRIGGER append_only_truncate;

-- For people: the events as JSON. Reading it needs SELECT on the ledger.
CREATE VIEW fp_audit.events AS
    SELECT seq, recorded_at, (record::jsonb -> 'event') ->> 'action' AS action, record::jsonb -> 'event' AS event
    FROM fp_audit.ledger;

-- Which layout this is, for releases of the platform that change it.
CREATE TABLE IF NOT EXISTS fp_audit.layout (version_num varchar(32) PRIMARY KEY);
INSERT INTO fp_audit.layout VALUES ('audit_1');
