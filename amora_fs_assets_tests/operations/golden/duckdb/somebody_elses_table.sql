SELECT
  "t2"."carrier",
  "t2"."airport",
  "t2"."event_timestamp",
  "t2"."label",
  "t8"."_0_f_delay" AS "delay",
  "t8"."_0_f_notes" AS "notes"
FROM "spine" AS "t2"
ASOF LEFT JOIN (
  SELECT
    "t6"."carrier" AS "_0_k0",
    "t6"."airport" AS "_0_k1",
    "t6"."event_timestamp" AS "_0_time",
    "t6"."_visible" AS "_0_visible",
    "t6"."delay" AS "_0_f_delay",
    "t6"."notes" AS "_0_f_notes"
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
          "t3"."airport",
          "t3"."event_timestamp",
          "t3"."delay",
          "t3"."notes",
          "t3"."_visible",
          ROW_NUMBER() OVER (
            PARTITION BY "t3"."carrier", "t3"."airport", "t3"."_visible"
            ORDER BY "t3"."event_timestamp" DESC, CASE WHEN ISNAN("t3"."delay") THEN NULL ELSE "t3"."delay" END DESC, ISNAN("t3"."delay") DESC, ARRAY_LENGTH("t3"."notes") DESC, ARRAY_TO_STRING(LIST_APPLY("t3"."notes", __ibis_param_item__ -> __ibis_param_item__), '') DESC
            ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING
          ) - 1 AS "_rank"
        FROM (
          SELECT
            "t1"."carrier",
            "t1"."airport",
            "t1"."event_timestamp",
            "t1"."delay",
            "t1"."notes",
            "t1"."event_timestamp" AS "_visible"
          FROM "theirs"."foreign" AS "t1"
          WHERE
            "t1"."event_timestamp" IS NOT NULL
            AND "t1"."carrier" IS NOT NULL
            AND "t1"."airport" IS NOT NULL
        ) AS "t3"
      ) AS "t4"
      WHERE
        "t4"."_rank" = 0
    ) AS "t5"
  ) AS "t6"
) AS "t8"
  ON "t2"."event_timestamp" >= "t8"."_0_visible"
  AND "t2"."carrier" = "t8"."_0_k0"
  AND "t2"."airport" = "t8"."_0_k1"
