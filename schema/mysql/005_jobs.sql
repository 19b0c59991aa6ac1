-- Jobs that a person starts, such as a rebuild of the warehouse; docs/specs/jobs.md.
-- `slot` is 1 while a job is running and NULL afterwards, so its key lets one run at a time.

CREATE TABLE IF NOT EXISTS jobs (
  id               BIGINT UNSIGNED NOT NULL AUTO_INCREMENT,
  kind             VARCHAR(32)     COLLATE utf8mb4_bin NOT NULL,
  parameters       TEXT            NOT NULL,
  state            ENUM ('running', 'done', 'failed', 'cancelled') NOT NULL DEFAULT 'running',
  slot             TINYINT         NULL DEFAULT 1,
  cancel_requested BOOLEAN         NOT NULL DEFAULT FALSE,
  progress         VARCHAR(1000)   NOT NULL DEFAULT '',
  checkpoint       MEDIUMTEXT      NOT NULL,
  error            VARCHAR(2000)   NOT NULL DEFAULT '',
  created_at       DATETIME(3)     NOT NULL DEFAULT (UTC_TIMESTAMP(3)),
  updated_at       DATETIME(3)     NOT NULL DEFAULT (UTC_TIMESTAMP(3)),
  finished_at      DATETIME(3)     NULL,
  PRIMARY KEY (id),
  UNIQUE KEY jobs_slot (slot)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_unicode_ci;
