
-- What was loaded into a Doris cluster is written down here too. Readers write down the spines that they ship there, which
-- are rows of the schema `scratch`, and can change nothing else.

DO $block$
DECLARE
    wanted text;
BEGIN
    CREATE SCHEMA IF NOT EXISTS fp_doris;
    ALTER SCHEMA fp_doris OWNER TO fp_owner;
    REVOKE ALL ON SCHEMA fp_doris FROM PUBLIC;
    GRANT USAGE ON SCHEMA fp_doris TO fp_publisher, fp_reader;
    FOREACH wanted IN ARRAY ARRAY['layout', 'writes', 'loads'] LOOP
        IF to_regclass(format('fp_doris.%I', wanted)) IS NULL THEN
            CONTINUE;  -- `fp store migrate` makes it; then this is run again
        END IF;
        EXECUTE format('ALTER TABLE fp_doris.%I OWNER TO fp_owner', wanted);
        EXECUTE format('GRANT SELECT ON fp_doris.%I TO fp_publisher, fp_reader', wanted);
        IF wanted = 'layout' THEN
            CONTINUE;
        END IF;
        EXECUTE format('GRANT INSERT, UPDATE, DELETE ON fp_doris.%I TO fp_publisher, fp_reader', wanted);
        EXECUTE format('ALTER TABLE fp_doris.%I ENABLE ROW LEVEL SECURITY', wanted);
        EXECUTE format('DROP POLICY IF EXISTS publishes ON fp_doris.%I', wanted);
        EXECUTE format('DROP POLICY IF EXISTS reads ON fp_doris.%I', wanted);
        EXECUTE format('DROP POLICY IF EXISTS ships ON fp_doris.%I', wanted);
        EXECUTE format('CREATE POLICY publishes ON fp_doris.%I TO fp_publisher USING (true)', wanted);
        EXECUTE format('CREATE POLICY reads ON fp_doris.%I FOR SELECT TO fp_reader USING (true)', wanted);
        EXECUTE format('CREATE POLICY ships ON fp_doris.%I TO fp_reader USING (%s)', wanted, CASE wanted
            WHEN 'writes' THEN 'table_schema = ''scratch'''
            ELSE 'token IN (SELECT w.token FROM fp_doris.writes AS w WHERE w.table_schema = ''scratch'')'
        END);
    END LOOP;
    IF to_regclass('fp_doris.versions') IS NOT NULL THEN
        ALTER SEQUENCE fp_doris.versions OWNER TO fp_owner;
        GRANT USAGE ON SEQUENCE fp_doris.versions TO fp_publisher;
    END IF;
END
$block$;
