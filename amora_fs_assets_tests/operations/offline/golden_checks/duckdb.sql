SELECT
  COALESCE(
    (
      (
        "t0"."ge" >= 0
      ) AND NOT (
        ISNAN("t0"."ge")
      )
    )
    OR (
      "t0"."ge" IS NULL
    ),
    TRUE
  ) AS "ge",
  COALESCE(
    (
      (
        "t0"."gt" > 0
      ) AND NOT (
        ISNAN("t0"."gt")
      )
    )
    OR (
      "t0"."gt" IS NULL
    ),
    TRUE
  ) AS "gt",
  COALESCE(
    (
      (
        "t0"."le" <= 5
      ) AND NOT (
        ISNAN("t0"."le")
      )
    )
    OR (
      "t0"."le" IS NULL
    ),
    TRUE
  ) AS "le",
  COALESCE(
    (
      (
        "t0"."lt" < 5
      ) AND NOT (
        ISNAN("t0"."lt")
      )
    )
    OR (
      "t0"."lt" IS NULL
    ),
    TRUE
  ) AS "lt",
  COALESCE(
    (
      "t0"."in_range" BETWEEN 0 AND 5 AND NOT (
        ISNAN("t0"."in_range")
      )
    )
    OR (
      "t0"."in_range" IS NULL
    ),
    TRUE
  ) AS "in_range",
  COALESCE(
    (
      (
        "t0"."eq" = 1
      ) AND NOT (
        ISNAN("t0"."eq")
      )
    )
    OR (
      "t0"."eq" IS NULL
    ),
    TRUE
  ) AS "eq",
  COALESCE((
    "t0"."ne" <> 1
  ) OR ISNAN("t0"."ne") OR (
    "t0"."ne" IS NULL
  ), TRUE) AS "ne",
  COALESCE("t0"."isin" IN (1.0, 2.0) OR (
    "t0"."isin" IS NULL
  ), TRUE) AS "isin",
  COALESCE(NOT (
    "t0"."notin" IN (1.0, 2.0)
  ) OR (
    "t0"."notin" IS NULL
  ), TRUE) AS "notin",
  COALESCE(
    (
      (
        "t0"."finite" < CAST('inf' AS DOUBLE)
      ) AND NOT (
        ISNAN("t0"."finite")
      )
    )
    OR (
      "t0"."finite" IS NULL
    ),
    TRUE
  ) AS "finite",
  COALESCE(
    (
      (
        "t0"."own" >= "t0"."ge"
      )
      AND NOT (
        ISNAN("t0"."own")
      )
      AND NOT (
        ISNAN("t0"."ge")
      )
    )
    OR (
      "t0"."own" IS NULL
    ),
    TRUE
  ) AS "own",
  COALESCE(NOT (
    (
      "t0"."any_" > 5
    ) AND NOT (
      ISNAN("t0"."any_")
    )
  ), TRUE) AS "rows"
FROM "rows" AS "t0"
