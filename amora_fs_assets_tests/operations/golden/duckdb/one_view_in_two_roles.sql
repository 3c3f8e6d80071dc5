SELECT
  "t2"."origin",
  "t2"."dest",
  "t2"."event_timestamp",
  "t2"."label",
  CASE
    WHEN "t9"."_0_time" >= (
      "t2"."event_timestamp" - INTERVAL '172800000000' MICROSECOND
    )
    THEN "t9"."_0_f_wind"
    ELSE CAST(NULL AS BIGINT)
  END AS "from__wind",
  CASE
    WHEN "t10"."_1_time" >= (
      "t2"."event_timestamp" - INTERVAL '172800000000' MICROSECOND
    )
    THEN "t10"."_1_f_wind"
    ELSE CAST(NULL AS BIGINT)
  END AS "to__wind"
FROM "spine" AS "t2"
ASOF LEFT JOIN (
  SELECT
    "t5"."airport" AS "_0_k0",
    "t5"."event_timestamp" AS "_0_time",
    "t5"."event_timestamp" AS "_0_visible",
    "t5"."wind" AS "_0_f_wind"
  FROM (
    SELECT
      "t4"."airport",
      "t4"."event_timestamp",
      "t4"."wind"
    FROM "feature_store"."weather" AS "t4"
    SEMI JOIN "spine" AS "t3"
      ON "t4"."airport" = "t3"."origin"
  ) AS "t5"
) AS "t9"
  ON "t2"."event_timestamp" >= "t9"."_0_visible" AND "t2"."origin" = "t9"."_0_k0"
ASOF LEFT JOIN (
  SELECT
    "t6"."airport" AS "_1_k0",
    "t6"."event_timestamp" AS "_1_time",
    "t6"."event_timestamp" AS "_1_visible",
    "t6"."wind" AS "_1_f_wind"
  FROM (
    SELECT
      "t4"."airport",
      "t4"."event_timestamp",
      "t4"."wind"
    FROM "feature_store"."weather" AS "t4"
    SEMI JOIN "spine" AS "t3"
      ON "t4"."airport" = "t3"."dest"
  ) AS "t6"
) AS "t10"
  ON "t2"."event_timestamp" >= "t10"."_1_visible" AND "t2"."dest" = "t10"."_1_k0"
