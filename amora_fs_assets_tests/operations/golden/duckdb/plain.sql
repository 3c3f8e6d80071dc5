SELECT
  "t2"."carrier",
  "t2"."event_timestamp",
  "t2"."label",
  "t4"."_0_f_delay" AS "delay"
FROM "spine" AS "t2"
ASOF LEFT JOIN (
  SELECT
    "t1"."carrier" AS "_0_k0",
    "t1"."event_timestamp" AS "_0_time",
    "t1"."event_timestamp" AS "_0_visible",
    "t1"."delay" AS "_0_f_delay"
  FROM "feature_store"."plain" AS "t1"
) AS "t4"
  ON "t2"."event_timestamp" >= "t4"."_0_visible" AND "t2"."carrier" = "t4"."_0_k0"
