-- The relay's shards: into how many the outbox is divided, and over how many partitions each of them spreads its orders. Both change
-- under the relay's locks only; docs/specs/relay.md.

CREATE TABLE IF NOT EXISTS relay_layout (
  id         TINYINT     NOT NULL,
  shards     INT         NOT NULL,
  updated_at DATETIME(3) NOT NULL,
  PRIMARY KEY (id)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_unicode_ci;

INSERT IGNORE INTO relay_layout (id, shards, updated_at) VALUES (1, 1, UTC_TIMESTAMP(3));

CREATE TABLE IF NOT EXISTS relay_topics (
  shard       INT          NOT NULL,
  topic       VARCHAR(249) COLLATE utf8mb4_bin NOT NULL,
  partitions  INT          NOT NULL,
  incarnation VARCHAR(64)  COLLATE utf8mb4_bin NOT NULL,
  updated_at  DATETIME(3)  NOT NULL,
  PRIMARY KEY (shard, topic)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_unicode_ci;
