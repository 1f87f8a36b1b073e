-- The ledger: logs of records, kept as frames and as rows. Everything lies in the schema penstock.

CREATE TABLE penstock.options (name text PRIMARY KEY, value text NOT NULL);

-- One log for each writer: an engine's own, or what a worker's ledger holds. A writer with another fence writes nothing.
CREATE TABLE penstock.logs (
    log smallint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL UNIQUE,
    identity uuid NOT NULL DEFAULT gen_random_uuid(),
    fence bigint NOT NULL DEFAULT 0,
    position bigint NOT NULL DEFAULT 0,
    next_seq bigint NOT NULL DEFAULT 0
);

-- The partitions that both tables below have, by the day on which they were written.
CREATE TABLE penstock.periods (first_day date PRIMARY KEY, next_day date NOT NULL, partition text NOT NULL);

-- Records as they are: what reads back bit for bit.
CREATE TABLE penstock.frames (
    day date NOT NULL,
    log smallint NOT NULL,
    position bigint NOT NULL,
    first_seq bigint NOT NULL,
    rows integer NOT NULL,
    kind text NOT NULL,
    detector text NOT NULL,
    newest_us bigint NOT NULL,
    frame bytea NOT NULL,
    PRIMARY KEY (log, position, day)
) PARTITION BY RANGE (day);
ALTER TABLE penstock.frames ALTER frame SET STORAGE EXTERNAL;   -- compressed already
CREATE INDEX frames_by_seq ON penstock.frames (log, first_seq) WHERE rows > 0;

-- What the columns of rows are called. names, types, parts: one for each number, then one for each text of a row.
CREATE TABLE penstock.shapes (
    shape integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    key text NOT NULL UNIQUE,
    detector text NOT NULL,
    detector_version text,
    model_version text,
    rules_version text,
    numbers text[] NOT NULL,
    number_types text[] NOT NULL,
    number_parts text[] NOT NULL,
    texts text[] NOT NULL,
    text_parts text[] NOT NULL
);

-- A row for each event: decided, informing or loaded. NaN stands for null in numbers.
CREATE TABLE penstock.events (
    day date NOT NULL,
    log smallint NOT NULL,
    kind smallint NOT NULL,
    shape integer NOT NULL,
    seq bigint NOT NULL,
    code bigint NOT NULL,
    event_time timestamptz NOT NULL,
    arrived_at timestamptz NOT NULL,
    decided_at timestamptz NOT NULL,
    action smallint NOT NULL,
    probability double precision NOT NULL,
    amount double precision NOT NULL,
    numbers double precision[] NOT NULL,
    transaction_id text NOT NULL,
    texts text[] NOT NULL,
    reasons jsonb,
    rules jsonb,
    degraded text
) PARTITION BY RANGE (day);
ALTER TABLE penstock.events ALTER numbers SET STORAGE EXTERNAL;
CREATE INDEX events_by_code ON penstock.events USING hash (code);
CREATE INDEX events_by_arrival ON penstock.events USING brin (arrived_at) WITH (autosummarize = on);
CREATE INDEX events_by_seq ON penstock.events USING brin (seq) WITH (autosummarize = on);

-- One value of a row as JSON.
CREATE FUNCTION penstock.value_of(value double precision, type text) RETURNS jsonb LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE
    WHEN value IS NULL OR value = 'NaN' THEN 'null'::jsonb
    WHEN type = 'boolean' THEN to_jsonb(value = 1)
    WHEN type = 'time' THEN to_jsonb(timestamptz 'epoch' + value * interval '1 microsecond')
    ELSE to_jsonb(value)
END;

-- The columns of one part (field, feature, score, rule) of a row as a JSON object.
CREATE FUNCTION penstock.part_of(
    part text, names text[], types text[], parts text[], numbers double precision[],
    text_names text[], text_parts text[], texts text[]
) RETURNS jsonb LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN (
    SELECT coalesce(jsonb_object_agg(name, value), '{}') FROM (
        SELECT name, penstock.value_of(number, type) AS value FROM unnest(names, types, parts, numbers) AS n (name, type, of, number)
        WHERE of = part
        UNION ALL
        SELECT name, to_jsonb(text) FROM unnest(text_names, text_parts, texts) AS t (name, of, text) WHERE of = part
    ) AS both_kinds
);

-- What was decided, for people and their tools. event, features and scores are made when they are asked for.
CREATE VIEW penstock.decisions AS
SELECT
    s.detector,
    e.seq,
    e.transaction_id,
    e.event_time,
    e.arrived_at,
    e.decided_at,
    (ARRAY['APPROVE', 'CHALLENGE', 'REVIEW', 'BLOCK'])[e.action + 1] AS decision,
    nullif(e.probability, 'NaN') AS fraud_probability,
    nullif(e.amount, 'NaN') AS amount,
    coalesce(e.reasons, '[]') AS reasons,
    coalesce(e.rules, '[]') AS rules,
    penstock.part_of('field', s.numbers, s.number_types, s.number_parts, e.numbers, s.texts, s.text_parts, e.texts) AS event,
    penstock.part_of('feature', s.numbers, s.number_types, s.number_parts, e.numbers, s.texts, s.text_parts, e.texts) AS features,
    penstock.part_of('score', s.numbers, s.number_types, s.number_parts, e.numbers, s.texts, s.text_parts, e.texts) AS scores,
    s.detector_version,
    s.model_version,
    s.rules_version,
    e.degraded,
    e.day AS written_on
FROM penstock.events AS e JOIN penstock.shapes AS s USING (shape)
WHERE e.kind = 0;

-- Everything people edit or look up. Times are microseconds since 1970 (UTC).
CREATE TABLE penstock.quarantine (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    detector text NOT NULL,
    received_us bigint NOT NULL,
    cause text NOT NULL,
    field text,
    body bytea NOT NULL
);
CREATE INDEX quarantine_by_detector ON penstock.quarantine (detector, id);
CREATE TABLE penstock.label_history (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    detector text NOT NULL,
    transaction_id text NOT NULL,
    fraud boolean NOT NULL,
    kind text NOT NULL,
    source text NOT NULL,
    known_us bigint NOT NULL,
    received_us bigint NOT NULL,
    rank bigint NOT NULL,
    UNIQUE (detector, transaction_id, kind, source, known_us, fraud)
);
CREATE TABLE penstock.labels (
    detector text NOT NULL,
    transaction_id text NOT NULL,
    fraud boolean NOT NULL,
    kind text NOT NULL,
    source text NOT NULL,
    known_us bigint NOT NULL,
    received_us bigint NOT NULL,
    rank bigint NOT NULL,
    PRIMARY KEY (detector, transaction_id)
);
CREATE TABLE penstock.answers (
    detector text NOT NULL,
    transaction_id text NOT NULL,
    decision text NOT NULL,
    cause text NOT NULL,
    answered_us bigint NOT NULL,
    PRIMARY KEY (detector, transaction_id)
);
CREATE TABLE penstock.versions (
    id bigint GENERATED ALWAYS AS IDENTITY,
    detector text NOT NULL,
    version text NOT NULL,
    declared bytea NOT NULL,
    first_seen_us bigint NOT NULL,
    PRIMARY KEY (detector, version)
);
CREATE TABLE penstock.alerts (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    key text NOT NULL UNIQUE,
    detector text NOT NULL,
    rule text NOT NULL,
    severity text NOT NULL,
    at_us bigint NOT NULL,
    body bytea NOT NULL
);
CREATE INDEX alerts_by_detector ON penstock.alerts (detector, id);
CREATE TABLE penstock.deliveries (
    key text NOT NULL,
    channel text NOT NULL,
    at_us bigint NOT NULL,
    attempts bigint NOT NULL,
    outcome text NOT NULL,
    detail text NOT NULL,
    PRIMARY KEY (key, channel)
);
CREATE INDEX deliveries_by_time ON penstock.deliveries (at_us);
CREATE TABLE penstock.layouts (layout_id text PRIMARY KEY, columns bytea NOT NULL);
CREATE TABLE penstock.settings (log smallint NOT NULL, name text NOT NULL, value bytea NOT NULL, PRIMARY KEY (log, name));
