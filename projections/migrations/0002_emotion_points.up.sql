-- The name `points` belongs to points of sale (seed 002): the emotion points' table and view make way.
DO $$
DECLARE
    version record;
BEGIN
    FOR version IN SELECT schema_name FROM sensorium.models WHERE model = 'emotion_logs' LOOP
        IF to_regclass(format('%I.points', version.schema_name)) IS NOT NULL THEN
            EXECUTE format('ALTER TABLE %I.points RENAME TO emotion_points', version.schema_name);
        END IF;
    END LOOP;
    IF EXISTS (
        SELECT FROM information_schema.columns
        WHERE table_schema = 'public' AND table_name = 'points' AND column_name = 't_ms'
    ) THEN
        ALTER VIEW public.points RENAME TO emotion_points;
    END IF;
END
$$;
