-- Control tables: which versions of which read model exist, and how far each has read the log.
CREATE SCHEMA IF NOT EXISTS sensorium;

CREATE TABLE sensorium.models (
    schema_name text PRIMARY KEY,
    model       text NOT NULL,
    version     int,                       -- null for a view of the past
    state       text NOT NULL CHECK (state IN ('live', 'building', 'standby', 'retired', 'as_of')),
    phase       text NOT NULL DEFAULT 'following' CHECK (phase IN ('loading', 'resolving', 'following', 'done')),
    as_of_name  text,
    until_ms    bigint,                    -- a view of the past holds what was in the log up to this append time
    problem     text,                      -- why its runner stopped, in a sentence; null while it runs
    created_at  timestamptz NOT NULL DEFAULT now(),
    changed_at  timestamptz NOT NULL DEFAULT now(),
    CHECK ((as_of_name IS NULL) = (version IS NOT NULL)),
    UNIQUE (model, version),
    UNIQUE (model, as_of_name)
);
CREATE UNIQUE INDEX one_live_version ON sensorium.models (model) WHERE state = 'live';

CREATE TABLE sensorium.checkpoints (
    schema_name  text NOT NULL REFERENCES sensorium.models ON DELETE CASCADE,
    topic        text NOT NULL,
    partition    int NOT NULL,
    next_offset  bigint NOT NULL,
    topic_id     text NOT NULL,            -- a topic that was deleted and made again has another one
    truncated_at bigint,                   -- offset of the newest truncation: nothing before it is left
    replies      bytea,                    -- answers of the last batch, sent again after a crash
    changed_at   timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (schema_name, topic, partition)
) WITH (fillfactor = 50);
