CREATE TABLE IF NOT EXISTS `fp_features`.`everything` (
  `key` BIGINT NULL,
  `read` BOOLEAN NULL,
  `rows` INT NULL,
  `range` DOUBLE NULL,
  `money` DECIMAL(38, 9) NULL,
  `match` STRING NULL,
  `born` DATE NULL,
  `at` DATETIME(6) NULL,
  `tags` ARRAY<STRING> NULL,
  `moments` ARRAY<DATETIME(6)> NULL,
  `buckets` MAP<STRING, DECIMAL(18, 2)> NULL,
  `nested` STRUCT<`a`:INT, `b`:ARRAY<DATE>> NULL,
  `raw` JSON NULL
)
ENGINE = OLAP
DISTRIBUTED BY RANDOM BUCKETS 4
PROPERTIES (
  'replication_num' = '1',
  'light_schema_change' = 'true',
  'enable_duplicate_without_keys_by_default' = 'true'
);
