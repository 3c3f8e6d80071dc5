WITH `t6` AS (
  SELECT
    `t4`.`carrier`,
    `t4`.`airport`,
    `t4`.`event_timestamp`,
    `t4`.`delay`,
    `t4`.`notes`,
    `t4`.`_visible`,
    ROW_NUMBER() OVER (
      PARTITION BY `t4`.`carrier`, `t4`.`airport`, `t4`.`_visible`
      ORDER BY `t4`.`event_timestamp` DESC, IF(IS_NAN(`t4`.`delay`), NULL, `t4`.`delay`) DESC, IS_NAN(`t4`.`delay`) DESC, ARRAY_LENGTH(`t4`.`notes`) DESC, IF(
        ARRAY_LENGTH(
          ARRAY(
            SELECT
              COALESCE(REPLACE(REPLACE(__ibis_param_item__, '', '0'), '', '1'), '2')
            FROM UNNEST(`t4`.`notes`) AS __ibis_param_item__
          )
        ) > 0,
        ARRAY_TO_STRING(
          ARRAY(
            SELECT
              COALESCE(REPLACE(REPLACE(__ibis_param_item__, '', '0'), '', '1'), '2')
            FROM UNNEST(`t4`.`notes`) AS __ibis_param_item__
          ),
          ''
        ),
        NULL
      ) DESC
    ) - 1 AS `_rank`
  FROM (
    SELECT
      `t1`.`carrier`,
      `t1`.`airport`,
      `t1`.`event_timestamp`,
      `t1`.`delay`,
      `t1`.`notes`,
      `t1`.`event_timestamp` AS `_visible`
    FROM `theirs`.`foreign` AS `t1`
    WHERE
      `t1`.`event_timestamp` IS NOT NULL
      AND `t1`.`carrier` IS NOT NULL
      AND `t1`.`airport` IS NOT NULL
  ) AS `t4`
)
SELECT
  `t17`.`carrier`,
  `t17`.`airport`,
  `t17`.`event_timestamp`,
  `t17`.`label`,
  IF(`t17`.`event_timestamp` IS NOT NULL, `t17`.`_0_f_delay`, CAST(NULL AS FLOAT64)) AS `delay`,
  IF(`t17`.`event_timestamp` IS NOT NULL, `t17`.`_0_f_notes`, CAST(NULL AS ARRAY<STRING>)) AS `notes`
FROM (
  SELECT
    `t2`.`carrier`,
    `t2`.`airport`,
    `t2`.`event_timestamp`,
    `t2`.`label`,
    `t16`.`_0_time`,
    `t16`.`_0_f_delay`,
    `t16`.`_0_f_notes`
  FROM `spine` AS `t2`
  LEFT OUTER JOIN (
    SELECT
      `t14`.`_s0`,
      `t14`.`_s1`,
      `t14`.`_m`,
      `t10`.`_0_time`,
      `t10`.`_0_f_delay`,
      `t10`.`_0_f_notes`
    FROM (
      SELECT
        `t12`.`_s0`,
        `t12`.`_s1`,
        `t12`.`_m`,
        `t12`.`_0_seen`
      FROM (
        SELECT
          `t11`.`_s0`,
          `t11`.`_s1`,
          `t11`.`_m`,
          `t11`.`_0_visible`,
          `t11`.`_moments`,
          MAX(`t11`.`_0_visible`) OVER (
            PARTITION BY `t11`.`_s0`, `t11`.`_s1`
            ORDER BY `t11`.`_m` ASC, `t11`.`_moments` ASC
            ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
          ) AS `_0_seen`
        FROM (
          SELECT
            *
          FROM (
            SELECT
              `t3`.`_s0`,
              `t3`.`_s1`,
              `t3`.`_m`,
              CAST(NULL AS TIMESTAMP) AS `_0_visible`,
              1 AS `_moments`
            FROM (
              SELECT DISTINCT
                `t0`.`carrier` AS `_s0`,
                `t0`.`airport` AS `_s1`,
                `t0`.`event_timestamp` AS `_m`
              FROM `spine` AS `t0`
            ) AS `t3`
          ) AS `t5`
          UNION ALL
          SELECT
            *
          FROM (
            SELECT
              `t7`.`carrier` AS `_s0`,
              `t7`.`airport` AS `_s1`,
              `t7`.`_visible` AS `_m`,
              `t7`.`_visible` AS `_0_visible`,
              0 AS `_moments`
            FROM `t6` AS `t7`
            WHERE
              `t7`.`_rank` = 0
          ) AS `t9`
        ) AS `t11`
      ) AS `t12`
      WHERE
        `t12`.`_moments` = 1
    ) AS `t14`
    LEFT OUTER JOIN (
      SELECT
        `t7`.`carrier` AS `_0_k0`,
        `t7`.`airport` AS `_0_k1`,
        `t7`.`event_timestamp` AS `_0_time`,
        `t7`.`_visible` AS `_0_visible`,
        `t7`.`delay` AS `_0_f_delay`,
        `t7`.`notes` AS `_0_f_notes`
      FROM `t6` AS `t7`
      WHERE
        `t7`.`_rank` = 0
    ) AS `t10`
      ON `t14`.`_0_seen` = `t10`.`_0_visible`
      AND `t14`.`_s0` = `t10`.`_0_k0`
      AND `t14`.`_s1` = `t10`.`_0_k1`
  ) AS `t16`
    ON `t2`.`event_timestamp` = `t16`.`_m`
    AND `t2`.`carrier` = `t16`.`_s0`
    AND `t2`.`airport` = `t16`.`_s1`
) AS `t17`
