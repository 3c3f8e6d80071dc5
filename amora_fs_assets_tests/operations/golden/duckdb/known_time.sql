SELECT
  "t2"."carrier",
  "t2"."event_timestamp",
  "t2"."label",
  CASE
    WHEN "t10"."_0_time" >= (
      "t2"."event_timestamp" - INTERVAL '86400000000' MICROSECOND
    )
    THEN "t10"."_0_f_delay"
    ELSE CAST(NULL AS DOUBLE)
  END AS "delay"
FROM "spine" AS "t2"
ASOF LEFT JOIN (
  SELECT
    "t8"."carrier" AS "_0_k0",
    "t8"."event_timestamp" AS "_0_time",
    "t8"."_visible" AS "_0_visible",
    "t8"."delay" AS "_0_f_delay"
  FROM (
    SELECT
      "t7"."carrier",
      "t7"."event_timestamp",
      "t7"."created_timestamp",
      "t7"."delay",
      "t7"."_visible",
      "t7"."_rank",
      MIN("t7"."_rank") OVER (
        PARTITION BY "t7"."carrier"
        ORDER BY "t7"."_visible" ASC
        ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
      ) AS "_best"
    FROM (
      SELECT
        "t6"."carrier",
        "t6"."event_timestamp",
        "t6"."created_timestamp",
        "t6"."delay",
        "t6"."_visible",
        ROW_NUMBER() OVER (
          PARTITION BY "t6"."carrier"
          ORDER BY "t6"."event_timestamp" DESC, "t6"."created_timestamp" DESC
          ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING
        ) - 1 AS "_rank"
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
                GREATEST("t1"."event_timestamp", COALESCE("t1"."created_timestamp", "t1"."event_timestamp")) AS "_visible"
              FROM "feature_store"."corrected" AS "t1"
              WHERE
                "t1"."event_timestamp" <= MAKE_TIMESTAMPTZ(2020, 1, 31, 0, 0, 0.0, 'UTC')
                AND "t1"."event_timestamp" >= MAKE_TIMESTAMPTZ(2019, 12, 31, 0, 0, 0.0, 'UTC')
            ) AS "t3"
          ) AS "t4"
          WHERE
            "t4"."_rank" = 0
        ) AS "t5"
      ) AS "t6"
    ) AS "t7"
  ) AS "t8"
  WHERE
    "t8"."_rank" = "t8"."_best"
) AS "t10"
  ON "t2"."event_timestamp" >= "t10"."_0_visible" AND "t2"."carrier" = "t10"."_0_k0"
