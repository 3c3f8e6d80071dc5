SELECT
  `t31`.`origin`,
  `t31`.`dest`,
  `t31`.`event_timestamp`,
  `t31`.`label`,
  IF(
    `t31`.`_0_time` >= TIMESTAMP_SUB(`t31`.`event_timestamp`, INTERVAL '172800000000' MICROSECOND),
    `t31`.`_0_f_wind`,
    CAST(NULL AS INT64)
  ) AS `from__wind`,
  IF(
    `t31`.`_1_time` >= TIMESTAMP_SUB(`t31`.`event_timestamp`, INTERVAL '172800000000' MICROSECOND),
    `t31`.`_1_f_wind`,
    CAST(NULL AS INT64)
  ) AS `to__wind`
FROM (
  SELECT
    `t30`.*
    EXCEPT (`_m`, `_s0`)
  FROM (
    SELECT
      `t20`.`origin`,
      `t20`.`dest`,
      `t20`.`event_timestamp`,
      `t20`.`label`,
      `t20`.`_0_time`,
      `t20`.`_0_f_wind`,
      `t29`.`_s0`,
      `t29`.`_m`,
      `t29`.`_1_time`,
      `t29`.`_1_f_wind`
    FROM (
      SELECT
        `t18`.*
        EXCEPT (`_m`, `_s0`)
      FROM (
        SELECT
          `t2`.`origin`,
          `t2`.`dest`,
          `t2`.`event_timestamp`,
          `t2`.`label`,
          `t17`.`_s0`,
          `t17`.`_m`,
          `t17`.`_0_time`,
          `t17`.`_0_f_wind`
        FROM `spine` AS `t2`
        LEFT OUTER JOIN (
          SELECT
            `t15`.`_s0`,
            `t15`.`_m`,
            `t15`.`_0_time`,
            `t15`.`_0_f_wind`
          FROM (
            SELECT
              `t14`.`_s0`,
              `t14`.`_m`,
              `t14`.`_0_seen`,
              `t9`.`_0_k0`,
              `t9`.`_0_time`,
              `t9`.`_0_visible`,
              `t9`.`_0_f_wind`
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
                  ) AS `t5`
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
            ) AS `t9`
              ON `t14`.`_0_seen` = `t9`.`_0_visible` AND `t14`.`_s0` = `t9`.`_0_k0`
          ) AS `t15`
        ) AS `t17`
          ON `t2`.`event_timestamp` = `t17`.`_m` AND `t2`.`origin` = `t17`.`_s0`
      ) AS `t18`
    ) AS `t20`
    LEFT OUTER JOIN (
      SELECT
        `t27`.`_s0`,
        `t27`.`_m`,
        `t27`.`_1_time`,
        `t27`.`_1_f_wind`
      FROM (
        SELECT
          `t26`.`_s0`,
          `t26`.`_m`,
          `t26`.`_1_seen`,
          `t8`.`_1_k0`,
          `t8`.`_1_time`,
          `t8`.`_1_visible`,
          `t8`.`_1_f_wind`
        FROM (
          SELECT
            `t24`.`_s0`,
            `t24`.`_m`,
            `t24`.`_1_seen`
          FROM (
            SELECT
              `t23`.`_s0`,
              `t23`.`_m`,
              `t23`.`_1_visible`,
              `t23`.`_moments`,
              MAX(`t23`.`_1_visible`) OVER (
                PARTITION BY `t23`.`_s0`
                ORDER BY `t23`.`_m` ASC, `t23`.`_moments` ASC
                ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
              ) AS `_1_seen`
            FROM (
              SELECT
                *
              FROM (
                SELECT
                  `t21`.`_s0`,
                  `t21`.`_m`,
                  CAST(NULL AS TIMESTAMP) AS `_1_visible`,
                  1 AS `_moments`
                FROM (
                  SELECT DISTINCT
                    `t19`.`dest` AS `_s0`,
                    `t19`.`event_timestamp` AS `_m`
                  FROM (
                    SELECT
                      `t18`.*
                      EXCEPT (`_m`, `_s0`)
                    FROM (
                      SELECT
                        `t2`.`origin`,
                        `t2`.`dest`,
                        `t2`.`event_timestamp`,
                        `t2`.`label`,
                        `t17`.`_s0`,
                        `t17`.`_m`,
                        `t17`.`_0_time`,
                        `t17`.`_0_f_wind`
                      FROM `spine` AS `t2`
                      LEFT OUTER JOIN (
                        SELECT
                          `t15`.`_s0`,
                          `t15`.`_m`,
                          `t15`.`_0_time`,
                          `t15`.`_0_f_wind`
                        FROM (
                          SELECT
                            `t14`.`_s0`,
                            `t14`.`_m`,
                            `t14`.`_0_seen`,
                            `t9`.`_0_k0`,
                            `t9`.`_0_time`,
                            `t9`.`_0_visible`,
                            `t9`.`_0_f_wind`
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
                                ) AS `t5`
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
                          ) AS `t9`
                            ON `t14`.`_0_seen` = `t9`.`_0_visible` AND `t14`.`_s0` = `t9`.`_0_k0`
                        ) AS `t15`
                      ) AS `t17`
                        ON `t2`.`event_timestamp` = `t17`.`_m` AND `t2`.`origin` = `t17`.`_s0`
                    ) AS `t18`
                  ) AS `t19`
                ) AS `t21`
              ) AS `t22`
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
              ) AS `t4`
            ) AS `t23`
          ) AS `t24`
          WHERE
            `t24`.`_moments` = 1
        ) AS `t26`
        LEFT OUTER JOIN (
          SELECT
            `t1`.`airport` AS `_1_k0`,
            `t1`.`event_timestamp` AS `_1_time`,
            `t1`.`event_timestamp` AS `_1_visible`,
            `t1`.`wind` AS `_1_f_wind`
          FROM `feature_store`.`weather` AS `t1`
        ) AS `t8`
          ON `t26`.`_1_seen` = `t8`.`_1_visible` AND `t26`.`_s0` = `t8`.`_1_k0`
      ) AS `t27`
    ) AS `t29`
      ON `t20`.`event_timestamp` = `t29`.`_m` AND `t20`.`dest` = `t29`.`_s0`
  ) AS `t30`
) AS `t31`
