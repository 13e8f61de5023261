CREATE TABLE `fp_features`.`card_spend` (
  `card` VARCHAR(128) NOT NULL COMMENT 'Token of the card [pii: token(payment_card)]',
  `event_time` DATETIME(6) NOT NULL,
  `available_at` DATETIME(6) NULL,
  `spend_30d` DECIMAL(18, 2) NULL COMMENT 'What the card''s holder said: \\ ''it''s 5'' and more'
)
ENGINE = OLAP
UNIQUE KEY (`card`, `event_time`)
COMMENT 'Spend per card'
PARTITION BY RANGE (`event_time`) (
  PARTITION `p20260629` VALUES [('2026-06-29 00:00:00'), ('2026-06-30 00:00:00')),
  PARTITION `p20260630` VALUES [('2026-06-30 00:00:00'), ('2026-07-01 00:00:00')))
DISTRIBUTED BY HASH (`card`) BUCKETS 16
PROPERTIES (
  'compression' = 'zstd',
  'replication_num' = '3',
  'light_schema_change' = 'true',
  'enable_unique_key_merge_on_write' = 'true',
  'function_column.sequence_col' = 'available_at'
);
