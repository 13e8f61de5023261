-- Who may do what with the audit ledger. Run it once, as a superuser or a role with CREATEROLE that owns the database:
--
--     psql "$FP_POSTGRES_URL" -f schema.sql -f roles.sql
--     psql "$FP_POSTGRES_URL" -c 'GRANT fp_audit_writer TO worker'
--
-- `fp_audit_owner` owns the ledger and can't log in. `fp_audit_writer` may add rows and read them. `fp_audit_reader` is
-- for auditors.

DO $block$
DECLARE
    wanted text;
BEGIN
    FOREACH wanted IN ARRAY ARRAY['fp_audit_owner', 'fp_audit_writer', 'fp_audit_reader'] LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = wanted) THEN
            EXECUTE format('CREATE ROLE %I NOLOGIN', wanted);
        END IF;
    END LOOP;
END
$block$;

DO $block$
DECLARE
    found record;
BEGIN
    EXECUTE format('GRANT CREATE ON DATABASE %I TO fp_audit_owner', current_database());
    ALTER SCHEMA fp_audit OWNER TO fp_audit_owner;
    FOR found IN
        SELECT c.relname, c.relkind FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
        WHERE n.nspname = 'fp_audit' AND c.relkind IN ('r', 'p', 'v')
    LOOP
        EXECUTE format(
            'ALTER %s fp_audit.%I OWNER TO fp_audit_owner', CASE found.relkind WHEN 'v' THEN 'VIEW' ELSE 'TABLE' END,
            found.relname
        );
    END LOOP;
END
$block$;
ALTER FUNCTION fp_audit.refuse() OWNER TO fp_audit_owner;
ALTER FUNCTION fp_audit.prepare_month(timestamptz) OWNER TO fp_audit_owner;

GRANT USAGE ON SCHEMA fp_audit TO fp_audit_writer, fp_audit_reader;
GRANT SELECT ON fp_audit.ledger, fp_audit.checkpoints, fp_audit.events, fp_audit.layout TO fp_audit_writer, fp_audit_reader;
GRANT INSERT ON fp_audit.ledger, fp_audit.checkpoints TO fp_audit_writer;
GRANT EXECUTE ON FUNCTION fp_audit.prepare_month(timestamptz) TO fp_audit_writer;
