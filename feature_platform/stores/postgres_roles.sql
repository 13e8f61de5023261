-- Who may do what in a PostgreSQL store of prefix `fp`. For a role that owns the database, or a superuser:
--
--     fp store migrate --store NAME            # the tables, once and with every release that changes them
--     fp store roles --store NAME | psql ...   # this file, for the store's own prefix; may be repeated
--     GRANT fp_publisher TO worker; ALTER ROLE worker SET role = 'fp_publisher';
--     GRANT fp_reader TO model;     ALTER ROLE model SET role = 'fp_reader';
--
-- `fp_owner` owns the platform's tables. `fp_publisher` materializes: it makes tables of rows, drops its own, and moves the
-- pointers to what is live; it can't change the platform's tables. `fp_reader` reads what is published and nothing else. None
-- of them can log in, and none may read a source until its owner grants that:
--
--     GRANT USAGE ON SCHEMA raw TO fp_publisher; GRANT SELECT ON raw.transactions TO fp_publisher;
--
-- A publisher's tables are its own. Let every worker act as the one role (`SET role` above), so that each can drop what
-- another left behind.

DO $block$
DECLARE
    wanted text;
    found record;
BEGIN
    FOREACH wanted IN ARRAY ARRAY['fp_owner', 'fp_publisher', 'fp_reader'] LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = wanted) THEN
            EXECUTE format('CREATE ROLE %I NOLOGIN', wanted);
        END IF;
    END LOOP;
    -- Spines and other streams are shipped into temporary tables.
    EXECUTE format('GRANT CONNECT, TEMPORARY ON DATABASE %I TO fp_publisher, fp_reader', current_database());
    EXECUTE format('GRANT CREATE ON DATABASE %I TO fp_owner', current_database());
    FOREACH wanted IN ARRAY ARRAY['fp_meta', 'fp_features', 'fponline'] LOOP
        EXECUTE format('CREATE SCHEMA IF NOT EXISTS %I', wanted);
        EXECUTE format('ALTER SCHEMA %I OWNER TO fp_owner', wanted);
        EXECUTE format('REVOKE ALL ON SCHEMA %I FROM PUBLIC', wanted);
        EXECUTE format('GRANT USAGE ON SCHEMA %I TO fp_publisher, fp_reader', wanted);
    END LOOP;
    FOR found IN
        SELECT n.nspname, c.relname, c.relkind FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
        WHERE (n.nspname = 'fp_meta' AND c.relname IN ('layout', 'writes', 'versions'))
           OR (n.nspname = 'fponline' AND c.relname IN ('layout', 'publications', 'versions'))
    LOOP
        EXECUTE format(
            'ALTER %s %I.%I OWNER TO fp_owner', CASE found.relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END,
            found.nspname, found.relname
        );
        EXECUTE format('GRANT SELECT ON %I.%I TO fp_publisher, fp_reader', found.nspname, found.relname);
        IF found.relkind = 'S' THEN
            EXECUTE format('GRANT USAGE ON SEQUENCE %I.%I TO fp_publisher', found.nspname, found.relname);
        ELSIF found.relname <> 'layout' THEN
            EXECUTE format('GRANT INSERT, UPDATE, DELETE ON %I.%I TO fp_publisher', found.nspname, found.relname);
        END IF;
    END LOOP;
END
$block$;

GRANT CREATE ON SCHEMA fp_features, fponline TO fp_publisher;
ALTER DEFAULT PRIVILEGES FOR ROLE fp_publisher IN SCHEMA fp_features, fponline GRANT SELECT ON TABLES TO fp_reader;
