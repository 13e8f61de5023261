-- Dagster's storage lives in a database of its own, so that it can be pruned and backed up separately.
CREATE DATABASE dagster;
