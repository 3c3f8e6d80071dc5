SELECT
  "t2"."carrier",
  "t2"."event_timestamp",
  "t2"."label",
  CASE
    WHEN "t2"."event_timestamp" IS NOT NULL
    THEN "t7"."_0_f_delay"
    ELSE CAST(NULL AS DOUBLE)
  END AS "delay"
FROM "spine" AS "t2"
ASOF LEFT JOIN (
  SELECT
    "t5"."carrier" AS "_0_k0",
    "t5"."event_timestamp" AS "_0_time",
    "t5"."event_timestamp" AS "_0_visible",
    "t5"."delay" AS "_0_f_delay"
  FROM (
    SELECT
      "t4"."carrier",
      "t4"."event_timestamp",
      "t4"."delay"
    FROM "feature_store"."plain" AS "t4"
    SEMI JOIN "spine" AS "t3"
      ON "t4"."carrier" = "t3"."carrier"
  ) AS "t5"
) AS "t7"
  ON "t2"."event_timestamp" >= "t7"."_0_visible" AND "t2"."carrier" = "t7"."_0_k0"
