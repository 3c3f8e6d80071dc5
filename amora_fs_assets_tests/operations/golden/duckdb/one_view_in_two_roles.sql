SELECT
  "t2"."origin",
  "t2"."dest",
  "t2"."event_timestamp",
  "t2"."label",
  CASE
    WHEN "t5"."_0_time" >= (
      "t2"."event_timestamp" - INTERVAL '172800000000' MICROSECOND
    )
    THEN "t5"."_0_f_wind"
    ELSE CAST(NULL AS BIGINT)
  END AS "from__wind",
  CASE
    WHEN "t6"."_1_time" >= (
      "t2"."event_timestamp" - INTERVAL '172800000000' MICROSECOND
    )
    THEN "t6"."_1_f_wind"
    ELSE CAST(NULL AS BIGINT)
  END AS "to__wind"
FROM "spine" AS "t2"
ASOF LEFT JOIN (
  SELECT
    "t1"."airport" AS "_0_k0",
    "t1"."event_timestamp" AS "_0_time",
    "t1"."event_timestamp" AS "_0_visible",
    "t1"."wind" AS "_0_f_wind"
  FROM "feature_store"."weather" AS "t1"
) AS "t5"
  ON "t2"."event_timestamp" >= "t5"."_0_visible" AND "t2"."origin" = "t5"."_0_k0"
ASOF LEFT JOIN (
  SELECT
    "t1"."airport" AS "_1_k0",
    "t1"."event_timestamp" AS "_1_time",
    "t1"."event_timestamp" AS "_1_visible",
    "t1"."wind" AS "_1_f_wind"
  FROM "feature_store"."weather" AS "t1"
) AS "t6"
  ON "t2"."event_timestamp" >= "t6"."_1_visible" AND "t2"."dest" = "t6"."_1_k0"
