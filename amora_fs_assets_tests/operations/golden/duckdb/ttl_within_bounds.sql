SELECT
  "t2"."carrier",
  "t2"."event_timestamp",
  "t2"."label",
  CASE
    WHEN "t8"."_0_time" >= (
      "t2"."event_timestamp" - INTERVAL '7200000000' MICROSECOND
    )
    THEN "t8"."_0_f_delay"
    ELSE CAST(NULL AS DOUBLE)
  END AS "delay"
FROM "spine" AS "t2"
ASOF LEFT JOIN (
  SELECT
    "t6"."carrier" AS "_0_k0",
    "t6"."event_timestamp" AS "_0_time",
    "t6"."event_timestamp" AS "_0_visible",
    "t6"."delay" AS "_0_f_delay"
  FROM (
    SELECT
      "t5"."carrier",
      "t5"."event_timestamp",
      "t5"."delay"
    FROM (
      SELECT
        *
      FROM "feature_store"."limited" AS "t1"
      WHERE
        "t1"."event_timestamp" <= MAKE_TIMESTAMPTZ(2020, 1, 31, 0, 0, 0.0, 'UTC')
        AND "t1"."event_timestamp" >= MAKE_TIMESTAMPTZ(2019, 12, 31, 22, 0, 0.0, 'UTC')
    ) AS "t5"
    SEMI JOIN "spine" AS "t3"
      ON "t5"."carrier" = "t3"."carrier"
  ) AS "t6"
) AS "t8"
  ON "t2"."event_timestamp" >= "t8"."_0_visible" AND "t2"."carrier" = "t8"."_0_k0"
