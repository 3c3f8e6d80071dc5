WITH `t6` AS (
  SELECT
    `t4`.`carrier`,
    `t4`.`event_timestamp`,
    `t4`.`created_timestamp`,
    `t4`.`delay`,
    `t4`.`_visible`,
    ROW_NUMBER() OVER (
      PARTITION BY `t4`.`carrier`, `t4`.`_visible`
      ORDER BY `t4`.`event_timestamp` DESC, COALESCE(`t4`.`created_timestamp`, `t4`.`event_timestamp`) DESC
    ) - 1 AS `_rank`
  FROM (
    SELECT
      `t1`.`carrier`,
      `t1`.`event_timestamp`,
      `t1`.`created_timestamp`,
      `t1`.`delay`,
      `t1`.`event_timestamp` AS `_visible`
    FROM `feature_store`.`corrected` AS `t1`
  ) AS `t4`
)
SELECT
  `t17`.`carrier`,
  `t17`.`event_timestamp`,
  `t17`.`label`,
  IF(
    `t17`.`_0_time` >= TIMESTAMP_SUB(`t17`.`event_timestamp`, INTERVAL '86400000000' MICROSECOND),
    `t17`.`_0_f_delay`,
    CAST(NULL AS FLOAT64)
  ) AS `delay`
FROM (
  SELECT
    `t2`.`carrier`,
    `t2`.`event_timestamp`,
    `t2`.`label`,
    `t16`.`_0_time`,
    `t16`.`_0_f_delay`
  FROM `spine` AS `t2`
  LEFT OUTER JOIN (
    SELECT
      `t14`.`_s0`,
      `t14`.`_m`,
      `t10`.`_0_time`,
      `t10`.`_0_f_delay`
    FROM (
      SELECT
        `t12`.`_s0`,
        `t12`.`_m`,
        `t12`.`_0_seen`
      FROM (
        SELECT
          `t11`.`_s0`,
          `t11`.`_m`,
          `t11`.`_0_visible`,
          `t11`.`_moments`,
          MAX(`t11`.`_0_visible`) OVER (
            PARTITION BY `t11`.`_s0`
            ORDER BY `t11`.`_m` ASC, `t11`.`_moments` ASC
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
          ) AS `t5`
          UNION ALL
          SELECT
            *
          FROM (
            SELECT
              `t7`.`carrier` AS `_s0`,
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
        `t7`.`event_timestamp` AS `_0_time`,
        `t7`.`_visible` AS `_0_visible`,
        `t7`.`delay` AS `_0_f_delay`
      FROM `t6` AS `t7`
      WHERE
        `t7`.`_rank` = 0
    ) AS `t10`
      ON `t14`.`_0_seen` = `t10`.`_0_visible` AND `t14`.`_s0` = `t10`.`_0_k0`
  ) AS `t16`
    ON `t2`.`event_timestamp` = `t16`.`_m` AND `t2`.`carrier` = `t16`.`_s0`
) AS `t17`
