DO $$
DECLARE
    version record;
BEGIN
    FOR version IN SELECT schema_name FROM sensorium.models WHERE model = 'emotion_logs' LOOP
        IF to_regclass(format('%I.emotion_points', version.schema_name)) IS NOT NULL THEN
            EXECUTE format('ALTER TABLE %I.emotion_points RENAME TO points', version.schema_name);
        END IF;
    END LOOP;
    IF to_regclass('public.emotion_points') IS NOT NULL AND to_regclass('public.points') IS NULL THEN
        ALTER VIEW public.emotion_points RENAME TO points;
    END IF;
END
$$;
