SELECT
  "t2"."carrier",
  "t2"."airport",
  "t2"."event_timestamp",
  "t2"."label",
  CASE
    WHEN "t2"."event_timestamp" IS NOT NULL
    THEN "t10"."_0_f_delay"
    ELSE CAST(NULL AS DOUBLE)
  END AS "delay",
  CASE
    WHEN "t2"."event_timestamp" IS NOT NULL
    THEN "t10"."_0_f_notes"
    ELSE CAST(NULL AS TEXT[])
  END AS "notes"
FROM "spine" AS "t2"
ASOF LEFT JOIN (
  SELECT
    "t8"."carrier" AS "_0_k0",
    "t8"."airport" AS "_0_k1",
    "t8"."event_timestamp" AS "_0_time",
    "t8"."_visible" AS "_0_visible",
    "t8"."delay" AS "_0_f_delay",
    "t8"."notes" AS "_0_f_notes"
  FROM (
    SELECT
      "t7"."carrier",
      "t7"."airport",
      "t7"."event_timestamp",
      "t7"."delay",
      "t7"."notes",
      "t7"."_visible",
      ROW_NUMBER() OVER (
        PARTITION BY "t7"."carrier", "t7"."airport", "t7"."_visible"
        ORDER BY "t7"."event_timestamp" DESC, CASE WHEN ISNAN("t7"."delay") THEN NULL ELSE "t7"."delay" END DESC, ISNAN("t7"."delay") DESC, ARRAY_LENGTH("t7"."notes") DESC, ARRAY_TO_STRING(
          LIST_APPLY(
            "t7"."notes",
            __ibis_param_item__ -> COALESCE(REPLACE(REPLACE(__ibis_param_item__, '', '0'), '', '1'), '2')
          ),
          ''
        ) DESC
        ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING
      ) - 1 AS "_rank"
    FROM (
      SELECT
        "t6"."carrier",
        "t6"."airport",
        "t6"."event_timestamp",
        "t6"."delay",
        "t6"."notes",
        "t6"."event_timestamp" AS "_visible"
      FROM (
        SELECT
          "t5"."carrier",
          "t5"."airport",
          "t5"."event_timestamp",
          "t5"."delay",
          "t5"."notes"
        FROM (
          SELECT
            *
          FROM "theirs"."foreign" AS "t1"
          WHERE
            "t1"."event_timestamp" IS NOT NULL
            AND "t1"."carrier" IS NOT NULL
            AND "t1"."airport" IS NOT NULL
        ) AS "t5"
        SEMI JOIN "spine" AS "t3"
          ON "t5"."carrier" = "t3"."carrier" AND "t5"."airport" = "t3"."airport"
      ) AS "t6"
    ) AS "t7"
  ) AS "t8"
  WHERE
    "t8"."_rank" = 0
) AS "t10"
  ON "t2"."event_timestamp" >= "t10"."_0_visible"
  AND "t2"."carrier" = "t10"."_0_k0"
  AND "t2"."airport" = "t10"."_0_k1"
