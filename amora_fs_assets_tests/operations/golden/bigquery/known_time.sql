WITH `t10` AS (
  SELECT
    `t9`.`carrier`,
    `t9`.`event_timestamp`,
    `t9`.`created_timestamp`,
    `t9`.`delay`,
    `t9`.`_visible`,
    `t9`.`_rank`,
    MIN(`t9`.`_rank`) OVER (
      PARTITION BY `t9`.`carrier`
      ORDER BY `t9`.`_visible` ASC
      ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
    ) AS `_best`
  FROM (
    SELECT
      `t8`.`carrier`,
      `t8`.`event_timestamp`,
      `t8`.`created_timestamp`,
      `t8`.`delay`,
      `t8`.`_visible`,
      ROW_NUMBER() OVER (
        PARTITION BY `t8`.`carrier`
        ORDER BY `t8`.`event_timestamp` DESC, `t8`.`created_timestamp` DESC
      ) - 1 AS `_rank`
    FROM (
      SELECT
        `t7`.*
        EXCEPT (`_rank`)
      FROM (
        SELECT
          *
        FROM (
          SELECT
            `t5`.`carrier`,
            `t5`.`event_timestamp`,
            `t5`.`created_timestamp`,
            `t5`.`delay`,
            `t5`.`_visible`,
            ROW_NUMBER() OVER (
              PARTITION BY `t5`.`carrier`, `t5`.`_visible`
              ORDER BY `t5`.`event_timestamp` DESC, `t5`.`created_timestamp` DESC
            ) - 1 AS `_rank`
          FROM (
            SELECT
              `t1`.`carrier`,
              `t1`.`event_timestamp`,
              `t1`.`created_timestamp`,
              `t1`.`delay`,
              GREATEST(`t1`.`event_timestamp`, COALESCE(`t1`.`created_timestamp`, `t1`.`event_timestamp`)) AS `_visible`
            FROM `feature_store`.`corrected` AS `t1`
            WHERE
              `t1`.`event_timestamp` <= TIMESTAMP('2020-01-31T00:00:00+00:00')
              AND `t1`.`event_timestamp` >= TIMESTAMP('2019-12-31T00:00:00+00:00')
          ) AS `t5`
        ) AS `t6`
        WHERE
          `t6`.`_rank` = 0
      ) AS `t7`
    ) AS `t8`
  ) AS `t9`
)
SELECT
  `t22`.`carrier`,
  `t22`.`event_timestamp`,
  `t22`.`label`,
  IF(
    `t22`.`_0_time` >= TIMESTAMP_SUB(`t22`.`event_timestamp`, INTERVAL '86400000000' MICROSECOND),
    `t22`.`_0_f_delay`,
    CAST(NULL AS FLOAT64)
  ) AS `delay`
FROM (
  SELECT
    `t2`.`carrier`,
    `t2`.`event_timestamp`,
    `t2`.`label`,
    `t21`.`_s0`,
    `t21`.`_m`,
    `t21`.`_0_time`,
    `t21`.`_0_f_delay`
  FROM `spine` AS `t2`
  LEFT OUTER JOIN (
    SELECT
      `t19`.`_s0`,
      `t19`.`_m`,
      `t19`.`_0_time`,
      `t19`.`_0_f_delay`
    FROM (
      SELECT
        `t18`.`_s0`,
        `t18`.`_m`,
        `t18`.`_0_seen`,
        `t14`.`_0_k0`,
        `t14`.`_0_time`,
        `t14`.`_0_visible`,
        `t14`.`_0_f_delay`
      FROM (
        SELECT
          `t16`.`_s0`,
          `t16`.`_m`,
          `t16`.`_0_seen`
        FROM (
          SELECT
            `t15`.`_s0`,
            `t15`.`_m`,
            `t15`.`_0_visible`,
            `t15`.`_moments`,
            MAX(`t15`.`_0_visible`) OVER (
              PARTITION BY `t15`.`_s0`
              ORDER BY `t15`.`_m` ASC, `t15`.`_moments` ASC
              ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
            ) AS `_0_seen`
          FROM (
            SELECT
              *
            FROM (
              SELECT
                `t3`.`_s0`,
                `t3`.`_m`,
                CAST(NULL AS TIMESTAMP) AS `_0_visible`,
                1 AS `_moments`
              FROM (
                SELECT DISTINCT
                  `t0`.`carrier` AS `_s0`,
                  `t0`.`event_timestamp` AS `_m`
                FROM `spine` AS `t0`
              ) AS `t3`
            ) AS `t4`
            UNION ALL
            SELECT
              *
            FROM (
              SELECT
                `t11`.`carrier` AS `_s0`,
                `t11`.`_visible` AS `_m`,
                `t11`.`_visible` AS `_0_visible`,
                0 AS `_moments`
              FROM `t10` AS `t11`
              WHERE
                `t11`.`_rank` = `t11`.`_best`
            ) AS `t13`
          ) AS `t15`
        ) AS `t16`
        WHERE
          `t16`.`_moments` = 1
      ) AS `t18`
      LEFT OUTER JOIN (
        SELECT
          `t11`.`carrier` AS `_0_k0`,
          `t11`.`event_timestamp` AS `_0_time`,
          `t11`.`_visible` AS `_0_visible`,
          `t11`.`delay` AS `_0_f_delay`
        FROM `t10` AS `t11`
        WHERE
          `t11`.`_rank` = `t11`.`_best`
      ) AS `t14`
        ON `t18`.`_0_seen` = `t14`.`_0_visible` AND `t18`.`_s0` = `t14`.`_0_k0`
    ) AS `t19`
  ) AS `t21`
    ON `t2`.`event_timestamp` = `t21`.`_m` AND `t2`.`carrier` = `t21`.`_s0`
) AS `t22`
