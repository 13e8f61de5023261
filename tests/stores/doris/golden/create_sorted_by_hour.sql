CREATE TABLE `fp_features`.`by_hour` (
  `account_id` BIGINT NULL,
  `event_time` DATETIME(6) NOT NULL,
  `amount` DECIMAL(18, 2) NULL
)
ENGINE = OLAP
DUPLICATE KEY (`account_id`, `event_time`)
PARTITION BY RANGE (`event_time`) (
  PARTITION `p2026063000` VALUES [('2026-06-30 00:00:00'), ('2026-06-30 01:00:00')))
DISTRIBUTED BY HASH (`account_id`) BUCKETS 8
PROPERTIES (
  'replication_num' = '3',
  'light_schema_change' = 'true'
);
