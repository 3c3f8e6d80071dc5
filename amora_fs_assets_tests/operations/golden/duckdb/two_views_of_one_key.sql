SELECT
  "t3"."carrier",
  "t3"."event_timestamp",
  "t3"."label",
  "t6"."_0_f_delay" AS "plain__delay",
  CASE
    WHEN "t7"."_1_time" >= (
      "t3"."event_timestamp" - INTERVAL '7200000000' MICROSECOND
    )
    THEN "t7"."_1_f_delay"
    ELSE CAST(NULL AS DOUBLE)
  END AS "limited__delay"
FROM "spine" AS "t3"
ASOF LEFT JOIN (
  SELECT
    "t1"."carrier" AS "_0_k0",
    "t1"."event_timestamp" AS "_0_time",
    "t1"."event_timestamp" AS "_0_visible",
    "t1"."delay" AS "_0_f_delay"
  FROM "feature_store"."plain" AS "t1"
) AS "t6"
  ON "t3"."event_timestamp" >= "t6"."_0_visible" AND "t3"."carrier" = "t6"."_0_k0"
ASOF LEFT JOIN (
  SELECT
    "t2"."carrier" AS "_1_k0",
    "t2"."event_timestamp" AS "_1_time",
    "t2"."event_timestamp" AS "_1_visible",
    "t2"."delay" AS "_1_f_delay"
  FROM "feature_store"."limited" AS "t2"
) AS "t7"
  ON "t3"."event_timestamp" >= "t7"."_1_visible" AND "t3"."carrier" = "t7"."_1_k0"
