SELECT
  "t2"."carrier",
  "t2"."event_timestamp",
  "t2"."label",
  CASE
    WHEN "t9"."_0_time" >= (
      "t2"."event_timestamp" - INTERVAL '86400000000' MICROSECOND
    )
    THEN "t9"."_0_f_delay"
    ELSE CAST(NULL AS DOUBLE)
  END AS "delay"
FROM "spine" AS "t2"
ASOF LEFT JOIN (
  SELECT
    "t7"."carrier" AS "_0_k0",
    "t7"."event_timestamp" AS "_0_time",
    "t7"."_visible" AS "_0_visible",
    "t7"."delay" AS "_0_f_delay"
  FROM (
    SELECT
      "t6"."carrier",
      "t6"."event_timestamp",
      "t6"."created_timestamp",
      "t6"."delay",
      "t6"."_visible",
      ROW_NUMBER() OVER (
        PARTITION BY "t6"."carrier", "t6"."_visible"
        ORDER BY "t6"."event_timestamp" DESC, COALESCE("t6"."created_timestamp", "t6"."event_timestamp") DESC
        ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING
      ) - 1 AS "_rank"
    FROM (
      SELECT
        "t5"."carrier",
        "t5"."event_timestamp",
        "t5"."created_timestamp",
        "t5"."delay",
        "t5"."event_timestamp" AS "_visible"
      FROM (
        SELECT
          "t4"."carrier",
          "t4"."event_timestamp",
          "t4"."created_timestamp",
          "t4"."delay"
        FROM "feature_store"."corrected" AS "t4"
        SEMI JOIN "spine" AS "t3"
          ON "t4"."carrier" = "t3"."carrier"
      ) AS "t5"
    ) AS "t6"
  ) AS "t7"
  WHERE
    "t7"."_rank" = 0
) AS "t9"
  ON "t2"."event_timestamp" >= "t9"."_0_visible" AND "t2"."carrier" = "t9"."_0_k0"
