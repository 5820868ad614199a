DO $$
DECLARE
    version record;
BEGIN
    FOR version IN SELECT schema_name FROM sensorium.models WHERE model = 'users' LOOP
        IF to_regclass(format('%I.sales_users', version.schema_name)) IS NOT NULL THEN
            EXECUTE format('ALTER TABLE %I.sales_users RENAME TO users', version.schema_name);
        END IF;
    END LOOP;
    IF to_regclass('public.sales_users') IS NOT NULL AND to_regclass('public.users') IS NULL THEN
        ALTER VIEW public.sales_users RENAME TO users;
    END IF;
END
$$;
