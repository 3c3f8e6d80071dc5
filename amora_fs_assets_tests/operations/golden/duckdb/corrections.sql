SELECT
  "t2"."carrier",
  "t2"."event_timestamp",
  "t2"."label",
  CASE
    WHEN "t8"."_0_time" >= (
      "t2"."event_timestamp" - INTERVAL '86400000000' MICROSECOND
    )
    THEN "t8"."_0_f_delay"
    ELSE CAST(NULL AS DOUBLE)
  END AS "delay"
FROM "spine" AS "t2"
ASOF LEFT JOIN (
  SELECT
    "t6"."carrier" AS "_0_k0",
    "t6"."event_timestamp" AS "_0_time",
    "t6"."_visible" AS "_0_visible",
    "t6"."delay" AS "_0_f_delay"
  FROM (
    SELECT
      "t5".*
      EXCLUDE ("_rank")
    FROM (
      SELECT
        *
      FROM (
        SELECT
          "t3"."carrier",
          "t3"."event_timestamp",
          "t3"."created_timestamp",
          "t3"."delay",
          "t3"."_visible",
          ROW_NUMBER() OVER (
            PARTITION BY "t3"."carrier", "t3"."_visible"
            ORDER BY "t3"."event_timestamp" DESC, "t3"."created_timestamp" DESC
            ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING
          ) - 1 AS "_rank"
        FROM (
          SELECT
            "t1"."carrier",
            "t1"."event_timestamp",
            "t1"."created_timestamp",
            "t1"."delay",
            "t1"."event_timestamp" AS "_visible"
          FROM "feature_store"."corrected" AS "t1"
        ) AS "t3"
      ) AS "t4"
      WHERE
        "t4"."_rank" = 0
    ) AS "t5"
  ) AS "t6"
) AS "t8"
  ON "t2"."event_timestamp" >= "t8"."_0_visible" AND "t2"."carrier" = "t8"."_0_k0"
