SELECT
  `t14`.`carrier`,
  `t14`.`event_timestamp`,
  `t14`.`label`,
  IF(`t14`.`event_timestamp` IS NOT NULL, `t14`.`_0_f_delay`, CAST(NULL AS FLOAT64)) AS `delay`
FROM (
  SELECT
    `t2`.`carrier`,
    `t2`.`event_timestamp`,
    `t2`.`label`,
    `t13`.`_0_time`,
    `t13`.`_0_f_delay`
  FROM `spine` AS `t2`
  LEFT OUTER JOIN (
    SELECT
      `t11`.`_s0`,
      `t11`.`_m`,
      `t6`.`_0_time`,
      `t6`.`_0_f_delay`
    FROM (
      SELECT
        `t9`.`_s0`,
        `t9`.`_m`,
        `t9`.`_0_seen`
      FROM (
        SELECT
          `t8`.`_s0`,
          `t8`.`_m`,
          `t8`.`_0_visible`,
          `t8`.`_moments`,
          MAX(`t8`.`_0_visible`) OVER (
            PARTITION BY `t8`.`_s0`
            ORDER BY `t8`.`_m` ASC, `t8`.`_moments` ASC
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
          ) AS `t7`
          UNION ALL
          SELECT
            *
          FROM (
            SELECT
              `t1`.`carrier` AS `_s0`,
              `t1`.`event_timestamp` AS `_m`,
              `t1`.`event_timestamp` AS `_0_visible`,
              0 AS `_moments`
            FROM `feature_store`.`plain` AS `t1`
          ) AS `t4`
        ) AS `t8`
      ) AS `t9`
      WHERE
        `t9`.`_moments` = 1
    ) AS `t11`
    LEFT OUTER JOIN (
      SELECT
        `t1`.`carrier` AS `_0_k0`,
        `t1`.`event_timestamp` AS `_0_time`,
        `t1`.`event_timestamp` AS `_0_visible`,
        `t1`.`delay` AS `_0_f_delay`
      FROM `feature_store`.`plain` AS `t1`
    ) AS `t6`
      ON `t11`.`_0_seen` = `t6`.`_0_visible` AND `t11`.`_s0` = `t6`.`_0_k0`
  ) AS `t13`
    ON `t2`.`event_timestamp` = `t13`.`_m` AND `t2`.`carrier` = `t13`.`_s0`
) AS `t14`
