-- The name `users` belongs to passengers (seed 003): the table and view of those who sign in (seed 002) make way.
DO $$
DECLARE
    version record;
BEGIN
    FOR version IN SELECT schema_name FROM sensorium.models WHERE model = 'users' LOOP
        IF to_regclass(format('%I.users', version.schema_name)) IS NOT NULL THEN
            EXECUTE format('ALTER TABLE %I.users RENAME TO sales_users', version.schema_name);
        END IF;
    END LOOP;
    IF EXISTS (
        SELECT FROM information_schema.columns
        WHERE table_schema = 'public' AND table_name = 'users' AND column_name = 'password_hash'
    ) THEN
        ALTER VIEW public.users RENAME TO sales_users;
    END IF;
END
$$;
