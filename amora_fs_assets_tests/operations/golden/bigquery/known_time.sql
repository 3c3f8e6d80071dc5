WITH `t9` AS (
  SELECT
    `t8`.`carrier`,
    `t8`.`event_timestamp`,
    `t8`.`created_timestamp`,
    `t8`.`delay`,
    `t8`.`_visible`,
    `t8`.`_rank`,
    MIN(`t8`.`_rank`) OVER (
      PARTITION BY `t8`.`carrier`
      ORDER BY `t8`.`_visible` ASC
      ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
    ) AS `_best`
  FROM (
    SELECT
      `t7`.`carrier`,
      `t7`.`event_timestamp`,
      `t7`.`created_timestamp`,
      `t7`.`delay`,
      `t7`.`_visible`,
      ROW_NUMBER() OVER (
        PARTITION BY `t7`.`carrier`
        ORDER BY `t7`.`event_timestamp` DESC, COALESCE(`t7`.`created_timestamp`, `t7`.`event_timestamp`) DESC
      ) - 1 AS `_rank`
    FROM (
      SELECT
        `t6`.`carrier`,
        `t6`.`event_timestamp`,
        `t6`.`created_timestamp`,
        `t6`.`delay`,
        `t6`.`_visible`
      FROM (
        SELECT
          `t5`.`carrier`,
          `t5`.`event_timestamp`,
          `t5`.`created_timestamp`,
          `t5`.`delay`,
          `t5`.`_visible`,
          ROW_NUMBER() OVER (
            PARTITION BY `t5`.`carrier`, `t5`.`_visible`
            ORDER BY `t5`.`event_timestamp` DESC, COALESCE(`t5`.`created_timestamp`, `t5`.`event_timestamp`) DESC
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
)
SELECT
  `t20`.`carrier`,
  `t20`.`event_timestamp`,
  `t20`.`label`,
  IF(
    `t20`.`_0_time` >= TIMESTAMP_SUB(`t20`.`event_timestamp`, INTERVAL '86400000000' MICROSECOND),
    `t20`.`_0_f_delay`,
    CAST(NULL AS FLOAT64)
  ) AS `delay`
FROM (
  SELECT
    `t2`.`carrier`,
    `t2`.`event_timestamp`,
    `t2`.`label`,
    `t19`.`_0_time`,
    `t19`.`_0_f_delay`
  FROM `spine` AS `t2`
  LEFT OUTER JOIN (
    SELECT
      `t17`.`_s0`,
      `t17`.`_m`,
      `t13`.`_0_time`,
      `t13`.`_0_f_delay`
    FROM (
      SELECT
        `t15`.`_s0`,
        `t15`.`_m`,
        `t15`.`_0_seen`
      FROM (
        SELECT
          `t14`.`_s0`,
          `t14`.`_m`,
          `t14`.`_0_visible`,
          `t14`.`_moments`,
          MAX(`t14`.`_0_visible`) OVER (
            PARTITION BY `t14`.`_s0`
            ORDER BY `t14`.`_m` ASC, `t14`.`_moments` ASC
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
              `t10`.`carrier` AS `_s0`,
              `t10`.`_visible` AS `_m`,
              `t10`.`_visible` AS `_0_visible`,
              0 AS `_moments`
            FROM `t9` AS `t10`
            WHERE
              `t10`.`_rank` = `t10`.`_best`
          ) AS `t12`
        ) AS `t14`
      ) AS `t15`
      WHERE
        `t15`.`_moments` = 1
    ) AS `t17`
    LEFT OUTER JOIN (
      SELECT
        `t10`.`carrier` AS `_0_k0`,
        `t10`.`event_timestamp` AS `_0_time`,
        `t10`.`_visible` AS `_0_visible`,
        `t10`.`delay` AS `_0_f_delay`
      FROM `t9` AS `t10`
      WHERE
        `t10`.`_rank` = `t10`.`_best`
    ) AS `t13`
      ON `t17`.`_0_seen` = `t13`.`_0_visible` AND `t17`.`_s0` = `t13`.`_0_k0`
  ) AS `t19`
    ON `t2`.`event_timestamp` = `t19`.`_m` AND `t2`.`carrier` = `t19`.`_s0`
) AS `t20`
