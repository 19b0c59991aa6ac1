-- Dead letters that a person has handled, by where their record was read. A replay writes its row here and its event into the outbox in
-- one transaction, so it happens once however often it is asked for.
CREATE TABLE IF NOT EXISTS dead_letters (
  source_topic       VARCHAR(249)    COLLATE utf8mb4_bin NOT NULL,
  source_incarnation VARCHAR(64)     COLLATE utf8mb4_bin NOT NULL COMMENT 'of the topic; empty: not known',
  source_partition   INT             NOT NULL,
  source_offset      BIGINT          NOT NULL,
  action             ENUM ('REPLAYED', 'DROPPED') NOT NULL,
  handled_by         VARCHAR(100)    NOT NULL COMMENT 'the admin id',
  note               VARCHAR(1000)   NOT NULL DEFAULT '',
  event_id           BIGINT UNSIGNED NULL COMMENT 'of the outbox row that was sent in its stead',
  handled_at         DATETIME(3)     NOT NULL,
  PRIMARY KEY (source_topic, source_incarnation, source_partition, source_offset)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_unicode_ci;
