SELECT
  `t19`.`carrier`,
  `t19`.`event_timestamp`,
  `t19`.`label`,
  IF(`t19`.`event_timestamp` IS NOT NULL, `t19`.`_0_f_delay`, CAST(NULL AS FLOAT64)) AS `plain__delay`,
  IF(
    `t19`.`_1_time` >= TIMESTAMP_SUB(`t19`.`event_timestamp`, INTERVAL '7200000000' MICROSECOND),
    `t19`.`_1_f_delay`,
    CAST(NULL AS FLOAT64)
  ) AS `limited__delay`
FROM (
  SELECT
    `t3`.`carrier`,
    `t3`.`event_timestamp`,
    `t3`.`label`,
    `t18`.`_0_time`,
    `t18`.`_0_f_delay`,
    `t18`.`_1_time`,
    `t18`.`_1_f_delay`
  FROM `spine` AS `t3`
  LEFT OUTER JOIN (
    SELECT
      `t16`.`_s0`,
      `t16`.`_m`,
      `t9`.`_0_time`,
      `t9`.`_0_f_delay`,
      `t10`.`_1_time`,
      `t10`.`_1_f_delay`
    FROM (
      SELECT
        `t14`.`_s0`,
        `t14`.`_m`,
        `t14`.`_0_seen`,
        `t14`.`_1_seen`
      FROM (
        SELECT
          `t13`.`_s0`,
          `t13`.`_m`,
          `t13`.`_0_visible`,
          `t13`.`_1_visible`,
          `t13`.`_moments`,
          MAX(`t13`.`_0_visible`) OVER (
            PARTITION BY `t13`.`_s0`
            ORDER BY `t13`.`_m` ASC, `t13`.`_moments` ASC
            ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
          ) AS `_0_seen`,
          MAX(`t13`.`_1_visible`) OVER (
            PARTITION BY `t13`.`_s0`
            ORDER BY `t13`.`_m` ASC, `t13`.`_moments` ASC
            ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
          ) AS `_1_seen`
        FROM (
          SELECT
            *
          FROM (
            SELECT
              `t2`.`carrier` AS `_s0`,
              `t2`.`event_timestamp` AS `_m`,
              CAST(NULL AS TIMESTAMP) AS `_0_visible`,
              `t2`.`event_timestamp` AS `_1_visible`,
              0 AS `_moments`
            FROM `feature_store`.`limited` AS `t2`
          ) AS `t7`
          UNION ALL
          SELECT
            *
          FROM (
            SELECT
              *
            FROM (
              SELECT
                `t4`.`_s0`,
                `t4`.`_m`,
                CAST(NULL AS TIMESTAMP) AS `_0_visible`,
                CAST(NULL AS TIMESTAMP) AS `_1_visible`,
                1 AS `_moments`
              FROM (
                SELECT DISTINCT
                  `t0`.`carrier` AS `_s0`,
                  `t0`.`event_timestamp` AS `_m`
                FROM `spine` AS `t0`
              ) AS `t4`
            ) AS `t11`
            UNION ALL
            SELECT
              *
            FROM (
              SELECT
                `t1`.`carrier` AS `_s0`,
                `t1`.`event_timestamp` AS `_m`,
                `t1`.`event_timestamp` AS `_0_visible`,
                CAST(NULL AS TIMESTAMP) AS `_1_visible`,
                0 AS `_moments`
              FROM `feature_store`.`plain` AS `t1`
            ) AS `t5`
          ) AS `t12`
        ) AS `t13`
      ) AS `t14`
      WHERE
        `t14`.`_moments` = 1
    ) AS `t16`
    LEFT OUTER JOIN (
      SELECT
        `t1`.`carrier` AS `_0_k0`,
        `t1`.`event_timestamp` AS `_0_time`,
        `t1`.`event_timestamp` AS `_0_visible`,
        `t1`.`delay` AS `_0_f_delay`
      FROM `feature_store`.`plain` AS `t1`
    ) AS `t9`
      ON `t16`.`_0_seen` = `t9`.`_0_visible` AND `t16`.`_s0` = `t9`.`_0_k0`
    LEFT OUTER JOIN (
      SELECT
        `t2`.`carrier` AS `_1_k0`,
        `t2`.`event_timestamp` AS `_1_time`,
        `t2`.`event_timestamp` AS `_1_visible`,
        `t2`.`delay` AS `_1_f_delay`
      FROM `feature_store`.`limited` AS `t2`
    ) AS `t10`
      ON `t16`.`_1_seen` = `t10`.`_1_visible` AND `t16`.`_s0` = `t10`.`_1_k0`
  ) AS `t18`
    ON `t3`.`event_timestamp` = `t18`.`_m` AND `t3`.`carrier` = `t18`.`_s0`
) AS `t19`
