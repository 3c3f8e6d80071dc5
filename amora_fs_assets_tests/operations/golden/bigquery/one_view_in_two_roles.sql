SELECT
  `t26`.`origin`,
  `t26`.`dest`,
  `t26`.`event_timestamp`,
  `t26`.`label`,
  IF(
    `t26`.`_0_time` >= TIMESTAMP_SUB(`t26`.`event_timestamp`, INTERVAL '172800000000' MICROSECOND),
    `t26`.`_0_f_wind`,
    CAST(NULL AS INT64)
  ) AS `from__wind`,
  IF(
    `t26`.`_1_time` >= TIMESTAMP_SUB(`t26`.`event_timestamp`, INTERVAL '172800000000' MICROSECOND),
    `t26`.`_1_f_wind`,
    CAST(NULL AS INT64)
  ) AS `to__wind`
FROM (
  SELECT
    `t2`.`origin`,
    `t2`.`dest`,
    `t2`.`event_timestamp`,
    `t2`.`label`,
    `t16`.`_0_time`,
    `t16`.`_0_f_wind`,
    `t25`.`_1_time`,
    `t25`.`_1_f_wind`
  FROM `spine` AS `t2`
  LEFT OUTER JOIN (
    SELECT
      `t14`.`_s0`,
      `t14`.`_m`,
      `t8`.`_0_time`,
      `t8`.`_0_f_wind`
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
                `t0`.`origin` AS `_s0`,
                `t0`.`event_timestamp` AS `_m`
              FROM `spine` AS `t0`
            ) AS `t3`
          ) AS `t10`
          UNION ALL
          SELECT
            *
          FROM (
            SELECT
              `t1`.`airport` AS `_s0`,
              `t1`.`event_timestamp` AS `_m`,
              `t1`.`event_timestamp` AS `_0_visible`,
              0 AS `_moments`
            FROM `feature_store`.`weather` AS `t1`
          ) AS `t4`
        ) AS `t11`
      ) AS `t12`
      WHERE
        `t12`.`_moments` = 1
    ) AS `t14`
    LEFT OUTER JOIN (
      SELECT
        `t1`.`airport` AS `_0_k0`,
        `t1`.`event_timestamp` AS `_0_time`,
        `t1`.`event_timestamp` AS `_0_visible`,
        `t1`.`wind` AS `_0_f_wind`
      FROM `feature_store`.`weather` AS `t1`
    ) AS `t8`
      ON `t14`.`_0_seen` = `t8`.`_0_visible` AND `t14`.`_s0` = `t8`.`_0_k0`
  ) AS `t16`
    ON `t2`.`event_timestamp` = `t16`.`_m` AND `t2`.`origin` = `t16`.`_s0`
  LEFT OUTER JOIN (
    SELECT
      `t23`.`_s0`,
      `t23`.`_m`,
      `t9`.`_1_time`,
      `t9`.`_1_f_wind`
    FROM (
      SELECT
        `t21`.`_s0`,
        `t21`.`_m`,
        `t21`.`_1_seen`
      FROM (
        SELECT
          `t20`.`_s0`,
          `t20`.`_m`,
          `t20`.`_1_visible`,
          `t20`.`_moments`,
          MAX(`t20`.`_1_visible`) OVER (
            PARTITION BY `t20`.`_s0`
            ORDER BY `t20`.`_m` ASC, `t20`.`_moments` ASC
            ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
          ) AS `_1_seen`
        FROM (
          SELECT
            *
          FROM (
            SELECT
              `t18`.`_s0`,
              `t18`.`_m`,
              CAST(NULL AS TIMESTAMP) AS `_1_visible`,
              1 AS `_moments`
            FROM (
              SELECT DISTINCT
                `t17`.`dest` AS `_s0`,
                `t17`.`event_timestamp` AS `_m`
              FROM (
                SELECT
                  `t2`.`origin`,
                  `t2`.`dest`,
                  `t2`.`event_timestamp`,
                  `t2`.`label`,
                  `t16`.`_0_time`,
                  `t16`.`_0_f_wind`
                FROM `spine` AS `t2`
                LEFT OUTER JOIN (
                  SELECT
                    `t14`.`_s0`,
                    `t14`.`_m`,
                    `t8`.`_0_time`,
                    `t8`.`_0_f_wind`
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
                              `t0`.`origin` AS `_s0`,
                              `t0`.`event_timestamp` AS `_m`
                            FROM `spine` AS `t0`
                          ) AS `t3`
                        ) AS `t10`
                        UNION ALL
                        SELECT
                          *
                        FROM (
                          SELECT
                            `t1`.`airport` AS `_s0`,
                            `t1`.`event_timestamp` AS `_m`,
                            `t1`.`event_timestamp` AS `_0_visible`,
                            0 AS `_moments`
                          FROM `feature_store`.`weather` AS `t1`
                        ) AS `t4`
                      ) AS `t11`
                    ) AS `t12`
                    WHERE
                      `t12`.`_moments` = 1
                  ) AS `t14`
                  LEFT OUTER JOIN (
                    SELECT
                      `t1`.`airport` AS `_0_k0`,
                      `t1`.`event_timestamp` AS `_0_time`,
                      `t1`.`event_timestamp` AS `_0_visible`,
                      `t1`.`wind` AS `_0_f_wind`
                    FROM `feature_store`.`weather` AS `t1`
                  ) AS `t8`
                    ON `t14`.`_0_seen` = `t8`.`_0_visible` AND `t14`.`_s0` = `t8`.`_0_k0`
                ) AS `t16`
                  ON `t2`.`event_timestamp` = `t16`.`_m` AND `t2`.`origin` = `t16`.`_s0`
              ) AS `t17`
            ) AS `t18`
          ) AS `t19`
          UNION ALL
          SELECT
            *
          FROM (
            SELECT
              `t1`.`airport` AS `_s0`,
              `t1`.`event_timestamp` AS `_m`,
              `t1`.`event_timestamp` AS `_1_visible`,
              0 AS `_moments`
            FROM `feature_store`.`weather` AS `t1`
          ) AS `t5`
        ) AS `t20`
      ) AS `t21`
      WHERE
        `t21`.`_moments` = 1
    ) AS `t23`
    LEFT OUTER JOIN (
      SELECT
        `t1`.`airport` AS `_1_k0`,
        `t1`.`event_timestamp` AS `_1_time`,
        `t1`.`event_timestamp` AS `_1_visible`,
        `t1`.`wind` AS `_1_f_wind`
      FROM `feature_store`.`weather` AS `t1`
    ) AS `t9`
      ON `t23`.`_1_seen` = `t9`.`_1_visible` AND `t23`.`_s0` = `t9`.`_1_k0`
  ) AS `t25`
    ON `t2`.`event_timestamp` = `t25`.`_m` AND `t2`.`dest` = `t25`.`_s0`
) AS `t26`
