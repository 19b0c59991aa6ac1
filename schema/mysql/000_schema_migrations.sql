-- Which migrations this database has. Created before anything else, recorded nowhere.
CREATE TABLE IF NOT EXISTS schema_migrations (
  version    INT          NOT NULL,
  name       VARCHAR(100) NOT NULL,
  checksum   CHAR(64)     NOT NULL COMMENT 'SHA-256 of the file',
  applied_at DATETIME(3)  NOT NULL DEFAULT (UTC_TIMESTAMP(3)),
  PRIMARY KEY (version)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;
