SELECT
  "t2"."event_timestamp",
  "t2"."label",
  CASE
    WHEN "t2"."event_timestamp" IS NOT NULL
    THEN "t4"."_0_f_delay"
    ELSE CAST(NULL AS DOUBLE)
  END AS "delay"
FROM "spine" AS "t2"
ASOF LEFT JOIN (
  SELECT
    "t1"."event_timestamp" AS "_0_time",
    "t1"."event_timestamp" AS "_0_visible",
    "t1"."delay" AS "_0_f_delay"
  FROM "feature_store"."network" AS "t1"
) AS "t4"
  ON "t2"."event_timestamp" >= "t4"."_0_visible"
