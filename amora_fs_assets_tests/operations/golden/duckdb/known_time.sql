SELECT
  "t2"."carrier",
  "t2"."event_timestamp",
  "t2"."label",
  CASE
    WHEN "t13"."_0_time" >= (
      "t2"."event_timestamp" - INTERVAL '86400000000' MICROSECOND
    )
    THEN "t13"."_0_f_delay"
    ELSE CAST(NULL AS DOUBLE)
  END AS "delay"
FROM "spine" AS "t2"
ASOF LEFT JOIN (
  SELECT
    "t11"."carrier" AS "_0_k0",
    "t11"."event_timestamp" AS "_0_time",
    "t11"."_visible" AS "_0_visible",
    "t11"."delay" AS "_0_f_delay"
  FROM (
    SELECT
      "t10"."carrier",
      "t10"."event_timestamp",
      "t10"."created_timestamp",
      "t10"."delay",
      "t10"."_visible",
      "t10"."_rank",
      MIN("t10"."_rank") OVER (
        PARTITION BY "t10"."carrier"
        ORDER BY "t10"."_visible" ASC
        ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
      ) AS "_best"
    FROM (
      SELECT
        "t9"."carrier",
        "t9"."event_timestamp",
        "t9"."created_timestamp",
        "t9"."delay",
        "t9"."_visible",
        ROW_NUMBER() OVER (
          PARTITION BY "t9"."carrier"
          ORDER BY "t9"."event_timestamp" DESC, COALESCE("t9"."created_timestamp", "t9"."event_timestamp") DESC
          ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING
        ) - 1 AS "_rank"
      FROM (
        SELECT
          "t8"."carrier",
          "t8"."event_timestamp",
          "t8"."created_timestamp",
          "t8"."delay",
          "t8"."_visible"
        FROM (
          SELECT
            "t7"."carrier",
            "t7"."event_timestamp",
            "t7"."created_timestamp",
            "t7"."delay",
            "t7"."_visible",
            ROW_NUMBER() OVER (
              PARTITION BY "t7"."carrier", "t7"."_visible"
              ORDER BY "t7"."event_timestamp" DESC, COALESCE("t7"."created_timestamp", "t7"."event_timestamp") DESC
              ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING
            ) - 1 AS "_rank"
          FROM (
            SELECT
              "t6"."carrier",
              "t6"."event_timestamp",
              "t6"."created_timestamp",
              "t6"."delay",
              GREATEST("t6"."event_timestamp", COALESCE("t6"."created_timestamp", "t6"."event_timestamp")) AS "_visible"
            FROM (
              SELECT
                "t5"."carrier",
                "t5"."event_timestamp",
                "t5"."created_timestamp",
                "t5"."delay"
              FROM (
                SELECT
                  *
                FROM "feature_store"."corrected" AS "t1"
                WHERE
                  "t1"."event_timestamp" <= MAKE_TIMESTAMPTZ(2020, 1, 31, 0, 0, 0.0, 'UTC')
                  AND "t1"."event_timestamp" >= MAKE_TIMESTAMPTZ(2019, 12, 31, 0, 0, 0.0, 'UTC')
              ) AS "t5"
              SEMI JOIN "spine" AS "t3"
                ON "t5"."carrier" = "t3"."carrier"
            ) AS "t6"
          ) AS "t7"
        ) AS "t8"
        WHERE
          "t8"."_rank" = 0
      ) AS "t9"
    ) AS "t10"
  ) AS "t11"
  WHERE
    "t11"."_rank" = "t11"."_best"
) AS "t13"
  ON "t2"."event_timestamp" >= "t13"."_0_visible" AND "t2"."carrier" = "t13"."_0_k0"
