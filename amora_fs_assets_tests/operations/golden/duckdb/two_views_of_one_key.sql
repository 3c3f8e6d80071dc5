SELECT
  "t3"."carrier",
  "t3"."event_timestamp",
  "t3"."label",
  CASE
    WHEN "t3"."event_timestamp" IS NOT NULL
    THEN "t11"."_0_f_delay"
    ELSE CAST(NULL AS DOUBLE)
  END AS "plain__delay",
  CASE
    WHEN "t12"."_1_time" >= (
      "t3"."event_timestamp" - INTERVAL '7200000000' MICROSECOND
    )
    THEN "t12"."_1_f_delay"
    ELSE CAST(NULL AS DOUBLE)
  END AS "limited__delay"
FROM "spine" AS "t3"
ASOF LEFT JOIN (
  SELECT
    "t7"."carrier" AS "_0_k0",
    "t7"."event_timestamp" AS "_0_time",
    "t7"."event_timestamp" AS "_0_visible",
    "t7"."delay" AS "_0_f_delay"
  FROM (
    SELECT
      "t5"."carrier",
      "t5"."event_timestamp",
      "t5"."delay"
    FROM "feature_store"."plain" AS "t5"
    SEMI JOIN "spine" AS "t4"
      ON "t5"."carrier" = "t4"."carrier"
  ) AS "t7"
) AS "t11"
  ON "t3"."event_timestamp" >= "t11"."_0_visible" AND "t3"."carrier" = "t11"."_0_k0"
ASOF LEFT JOIN (
  SELECT
    "t8"."carrier" AS "_1_k0",
    "t8"."event_timestamp" AS "_1_time",
    "t8"."event_timestamp" AS "_1_visible",
    "t8"."delay" AS "_1_f_delay"
  FROM (
    SELECT
      "t6"."carrier",
      "t6"."event_timestamp",
      "t6"."delay"
    FROM "feature_store"."limited" AS "t6"
    SEMI JOIN "spine" AS "t4"
      ON "t6"."carrier" = "t4"."carrier"
  ) AS "t8"
) AS "t12"
  ON "t3"."event_timestamp" >= "t12"."_1_visible" AND "t3"."carrier" = "t12"."_1_k0"
