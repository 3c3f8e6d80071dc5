SELECT
  "t2"."carrier",
  "t2"."event_timestamp",
  "t2"."label",
  CASE
    WHEN "t4"."_0_time" >= (
      "t2"."event_timestamp" - INTERVAL '7200000000' MICROSECOND
    )
    THEN "t4"."_0_f_delay"
    ELSE CAST(NULL AS DOUBLE)
  END AS "delay"
FROM "spine" AS "t2"
ASOF LEFT JOIN (
  SELECT
    "t1"."carrier" AS "_0_k0",
    "t1"."event_timestamp" AS "_0_time",
    "t1"."event_timestamp" AS "_0_visible",
    "t1"."delay" AS "_0_f_delay"
  FROM "feature_store"."limited" AS "t1"
  WHERE
    "t1"."event_timestamp" <= MAKE_TIMESTAMPTZ(2020, 1, 31, 0, 0, 0.0, 'UTC')
    AND "t1"."event_timestamp" >= MAKE_TIMESTAMPTZ(2019, 12, 31, 22, 0, 0.0, 'UTC')
) AS "t4"
  ON "t2"."event_timestamp" >= "t4"."_0_visible" AND "t2"."carrier" = "t4"."_0_k0"
