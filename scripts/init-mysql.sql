-- Made from schema/mysql/*.sql by the build target update_init_script: change those files, not this one.
-- On an empty server: mysql < scripts/init-mysql.sql   (does the same as: millrace init-db)
CREATE DATABASE IF NOT EXISTS ecommerce CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;
USE ecommerce;
SET NAMES utf8mb4;

-- 000_schema_migrations.sql
-- Which migrations this database has. Created before anything else, recorded nowhere.
CREATE TABLE IF NOT EXISTS schema_migrations (
  version    INT          NOT NULL,
  name       VARCHAR(100) NOT NULL,
  checksum   CHAR(64)     NOT NULL COMMENT 'SHA-256 of the file',
  applied_at DATETIME(3)  NOT NULL DEFAULT (UTC_TIMESTAMP(3)),
  PRIMARY KEY (version)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;

-- 001_tables.sql
-- The order store: MySQL 8.4 and MariaDB 10.11 both run this file unchanged.
-- Ids, and what an order keeps of its user and products, compare byte by byte (utf8mb4_bin, a collation that both servers know), as
-- the warehouse groups them; names and e-mails of the catalogue without regard to case.
-- All times are UTC with milliseconds. Every statement can run twice, because DDL commits by itself.

CREATE TABLE IF NOT EXISTS users (
  id            VARCHAR(36)  COLLATE utf8mb4_bin NOT NULL,
  email         VARCHAR(255) NOT NULL,
  password_hash VARCHAR(255) NULL COMMENT 'never leaves the database',
  name          VARCHAR(255) NOT NULL,
  phone         VARCHAR(32)  NULL,
  created_at    DATETIME(3)  NOT NULL DEFAULT (UTC_TIMESTAMP(3)),
  updated_at    DATETIME(3)  NOT NULL DEFAULT (UTC_TIMESTAMP(3)),
  deleted_at    DATETIME(3)  NULL,
  PRIMARY KEY (id),
  UNIQUE KEY users_email (email)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_unicode_ci;

CREATE TABLE IF NOT EXISTS products (
  id          VARCHAR(36)    COLLATE utf8mb4_bin NOT NULL,
  name        VARCHAR(255)   NOT NULL,
  description TEXT           NULL,
  price       DECIMAL(14, 4) NOT NULL,
  category    VARCHAR(100)   NOT NULL DEFAULT '',
  image_url   VARCHAR(512)   NULL,
  is_active   BOOLEAN        NOT NULL DEFAULT TRUE,
  created_at  DATETIME(3)    NOT NULL DEFAULT (UTC_TIMESTAMP(3)),
  updated_at  DATETIME(3)    NOT NULL DEFAULT (UTC_TIMESTAMP(3)),
  deleted_at  DATETIME(3)    NULL,
  PRIMARY KEY (id),
  KEY products_category (category),
  CONSTRAINT products_price CHECK (price >= 0)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_unicode_ci;

-- Keyed by the product, because every order locks its stock rows by product id, in that order.
CREATE TABLE IF NOT EXISTS inventory (
  id         VARCHAR(36) COLLATE utf8mb4_bin NOT NULL,
  product_id VARCHAR(36) COLLATE utf8mb4_bin NOT NULL,
  quantity   BIGINT      NOT NULL DEFAULT 0,
  reserved   BIGINT      NOT NULL DEFAULT 0,
  available  BIGINT      GENERATED ALWAYS AS (quantity - reserved) VIRTUAL,
  updated_at DATETIME(3) NOT NULL DEFAULT (UTC_TIMESTAMP(3)),
  PRIMARY KEY (product_id),
  UNIQUE KEY inventory_id (id),
  CONSTRAINT inventory_of_product FOREIGN KEY (product_id) REFERENCES products (id),
  CONSTRAINT inventory_quantity CHECK (quantity >= 0),
  CONSTRAINT inventory_reserved CHECK (reserved >= 0)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_unicode_ci;

CREATE TABLE IF NOT EXISTS orders (
  id               VARCHAR(36)     COLLATE utf8mb4_bin NOT NULL,
  user_id          VARCHAR(36)     COLLATE utf8mb4_bin NOT NULL,
  user_email       VARCHAR(255)    COLLATE utf8mb4_bin NOT NULL COMMENT 'as it was when the order was made',
  total_amount     DECIMAL(14, 2)  NOT NULL,
  status           ENUM ('PENDING', 'PAYMENT_PROCESSING', 'PAYMENT_CONFIRMED', 'PREPARING', 'SHIPPED', 'DELIVERED',
                         'CANCELLED', 'REFUNDED') NOT NULL DEFAULT 'PENDING',
  shipping_address VARCHAR(1000)   NULL,
  version          BIGINT UNSIGNED NOT NULL COMMENT 'Unix ms, strictly growing per order',
  stock_reserved   BOOLEAN         NOT NULL DEFAULT FALSE COMMENT 'its quantities stand in inventory.reserved',
  created_at       DATETIME(3)     NOT NULL DEFAULT (UTC_TIMESTAMP(3)),
  updated_at       DATETIME(3)     NOT NULL DEFAULT (UTC_TIMESTAMP(3)),
  deleted_at       DATETIME(3)     NULL,
  PRIMARY KEY (id),
  KEY orders_of_user (user_id, created_at, id),
  KEY orders_by_time (created_at),
  CONSTRAINT orders_user FOREIGN KEY (user_id) REFERENCES users (id)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_unicode_ci;

CREATE TABLE IF NOT EXISTS order_items (
  id           BIGINT UNSIGNED NOT NULL AUTO_INCREMENT,
  order_id     VARCHAR(36)     COLLATE utf8mb4_bin NOT NULL,
  product_id   VARCHAR(36)     COLLATE utf8mb4_bin NOT NULL,
  product_name VARCHAR(255)    COLLATE utf8mb4_bin NOT NULL COMMENT 'as it was when the order was made',
  quantity     INT UNSIGNED    NOT NULL,
  price        DECIMAL(14, 4)  NOT NULL,
  created_at   DATETIME(3)     NOT NULL DEFAULT (UTC_TIMESTAMP(3)),
  PRIMARY KEY (id),
  KEY items_of_order (order_id),
  KEY items_of_product (product_id),
  CONSTRAINT items_order FOREIGN KEY (order_id) REFERENCES orders (id),
  CONSTRAINT items_product FOREIGN KEY (product_id) REFERENCES products (id),
  CONSTRAINT items_quantity CHECK (quantity > 0)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_unicode_ci;

CREATE TABLE IF NOT EXISTS payments (
  id             VARCHAR(36)    COLLATE utf8mb4_bin NOT NULL,
  order_id       VARCHAR(36)    COLLATE utf8mb4_bin NOT NULL,
  amount         DECIMAL(14, 2) NOT NULL,
  status         ENUM ('PENDING', 'PROCESSING', 'COMPLETED', 'FAILED', 'REFUNDED') NOT NULL DEFAULT 'PENDING',
  method         ENUM ('CREDIT_CARD', 'DEBIT_CARD', 'BANK_TRANSFER', 'PAYPAL', 'CASH') NOT NULL,
  transaction_id VARCHAR(64)    NULL,
  created_at     DATETIME(3)    NOT NULL DEFAULT (UTC_TIMESTAMP(3)),
  updated_at     DATETIME(3)    NOT NULL DEFAULT (UTC_TIMESTAMP(3)),
  PRIMARY KEY (id),
  KEY payments_of_order (order_id),
  CONSTRAINT payments_order FOREIGN KEY (order_id) REFERENCES orders (id)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_unicode_ci;

-- The index serves "processed = 0 AND parked = 0 ORDER BY id LIMIT n" of the relay and the removal of processed rows.
CREATE TABLE IF NOT EXISTS outbox (
  id             BIGINT UNSIGNED NOT NULL AUTO_INCREMENT,
  aggregate_id   VARCHAR(36)     COLLATE utf8mb4_bin NOT NULL,
  aggregate_type VARCHAR(32)     COLLATE utf8mb4_bin NOT NULL,
  event_type     VARCHAR(64)     COLLATE utf8mb4_bin NOT NULL,
  payload        JSON            NOT NULL,
  processed      BOOLEAN         NOT NULL DEFAULT FALSE,
  parked         BOOLEAN         NOT NULL DEFAULT FALSE COMMENT 'can never be sent; stays for a person to look at',
  processed_at   DATETIME(3)     NULL,
  retry_count    INT             NOT NULL DEFAULT 0,
  created_at     DATETIME(3)     NOT NULL DEFAULT (UTC_TIMESTAMP(3)),
  PRIMARY KEY (id),
  KEY outbox_waiting (processed, parked, id)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_unicode_ci;

-- Each take-over of a shard by a relay raises its epoch; marking rows checks it.
CREATE TABLE IF NOT EXISTS relay_shards (
  shard      INT             NOT NULL,
  epoch      BIGINT UNSIGNED NOT NULL,
  updated_at DATETIME(3)     NOT NULL,
  PRIMARY KEY (shard)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_unicode_ci;
INSERT IGNORE INTO schema_migrations (version, name, checksum) VALUES
  (1, '001_tables', '107bd21426f1b90236d5fb15cf62db6b791d2dce506f6ded9fcb7da6217d5b2e');

-- 002_sample_shop.sql
-- A small shop to try things with. Rows that are there already stay as they are.

INSERT IGNORE INTO users (id, email, name, phone) VALUES
  ('user-1', 'alice@example.com', 'Alice Martin', '+1-555-0101'),
  ('user-2', 'bob@example.com', 'Bob Keller', '+1-555-0102'),
  ('user-3', 'carol@example.com', 'Carol Novak', '+1-555-0103');

INSERT IGNORE INTO products (id, name, description, price, category, image_url) VALUES
  ('prod-1', 'Laptop', '14-inch laptop with 16 GB of memory', 1299.99, 'Electronics', '/images/laptop.jpg'),
  ('prod-2', 'Wireless Mouse', 'Quiet mouse with a USB receiver', 29.99, 'Electronics', '/images/mouse.jpg'),
  ('prod-3', 'Coffee Maker', 'Drip coffee maker for twelve cups', 89.99, 'Home', '/images/coffee-maker.jpg'),
  ('prod-4', 'Running Shoes', 'Light shoes for road running', 79.99, 'Sports', '/images/running-shoes.jpg'),
  ('prod-5', 'Backpack', 'Water-repellent 25-litre backpack', 49.99, 'Accessories', '/images/backpack.jpg'),
  ('prod-6', 'Desk Lamp', 'Dimmable LED desk lamp', 34.99, 'Home', '/images/desk-lamp.jpg');

INSERT IGNORE INTO inventory (id, product_id, quantity, reserved) VALUES
  ('inv-1', 'prod-1', 100, 0),
  ('inv-2', 'prod-2', 100, 0),
  ('inv-3', 'prod-3', 100, 0),
  ('inv-4', 'prod-4', 100, 0),
  ('inv-5', 'prod-5', 100, 0),
  ('inv-6', 'prod-6', 100, 0);
INSERT IGNORE INTO schema_migrations (version, name, checksum) VALUES
  (2, '002_sample_shop', 'a958d5b7142339e8b28355400e6a1ba9d29d4db4cfd37800cf6c4d4209f5c76b');

-- 003_existing_shop.sql
-- Columns and indexes that Millrace adds to the tables of a shop that was there before it; on tables made by 001 only the defaults change, so that
-- programs that know nothing of these columns can go on inserting rows.
-- An order at version 0 has not been announced: `millrace backfill` sends it, and so does its first change through the API.
-- ADD COLUMN IF NOT EXISTS is MariaDB's alone, so the schema is asked.

SET @statement = (SELECT IF(COUNT(*) = 0,
    'ALTER TABLE orders ADD COLUMN version BIGINT UNSIGNED NOT NULL DEFAULT 0 COMMENT ''Unix ms, strictly growing per order''',
    'ALTER TABLE orders ALTER COLUMN version SET DEFAULT 0')
  FROM information_schema.columns WHERE table_schema = DATABASE() AND table_name = 'orders' AND column_name = 'version');
PREPARE change_table FROM @statement;
EXECUTE change_table;

SET @statement = (SELECT IF(COUNT(*) = 0,
    'ALTER TABLE orders ADD COLUMN user_email VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL DEFAULT '''' COMMENT ''as it was when the order was made''',
    'ALTER TABLE orders ALTER COLUMN user_email SET DEFAULT ''''')
  FROM information_schema.columns WHERE table_schema = DATABASE() AND table_name = 'orders' AND column_name = 'user_email');
PREPARE change_table FROM @statement;
EXECUTE change_table;

SET @statement = (SELECT IF(COUNT(*) = 0,
    'ALTER TABLE orders ADD COLUMN stock_reserved BOOLEAN NOT NULL DEFAULT FALSE COMMENT ''its quantities stand in inventory.reserved''',
    'DO 0')
  FROM information_schema.columns WHERE table_schema = DATABASE() AND table_name = 'orders' AND column_name = 'stock_reserved');
PREPARE change_table FROM @statement;
EXECUTE change_table;

SET @statement = (SELECT IF(COUNT(*) = 0,
    'ALTER TABLE order_items ADD COLUMN product_name VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL DEFAULT '''' COMMENT ''as it was when the order was made''',
    'ALTER TABLE order_items ALTER COLUMN product_name SET DEFAULT ''''')
  FROM information_schema.columns WHERE table_schema = DATABASE() AND table_name = 'order_items' AND column_name = 'product_name');
PREPARE change_table FROM @statement;
EXECUTE change_table;

SET @statement = (SELECT IF(COUNT(*) = 0,
    'ALTER TABLE outbox ADD COLUMN parked BOOLEAN NOT NULL DEFAULT FALSE COMMENT ''can never be sent; stays for a person to look at''',
    'DO 0')
  FROM information_schema.columns WHERE table_schema = DATABASE() AND table_name = 'outbox' AND column_name = 'parked');
PREPARE change_table FROM @statement;
EXECUTE change_table;

SET @statement = (SELECT IF(COUNT(*) = 0,
    'CREATE INDEX outbox_waiting ON outbox (processed, parked, id)',
    'DO 0')
  FROM information_schema.statistics WHERE table_schema = DATABASE() AND table_name = 'outbox' AND index_name = 'outbox_waiting');
PREPARE change_table FROM @statement;
EXECUTE change_table;

SET @statement = (SELECT IF(COUNT(*) = 0, 'CREATE INDEX payments_of_order ON payments (order_id)', 'DO 0')
  FROM information_schema.statistics
  WHERE table_schema = DATABASE() AND table_name = 'payments' AND column_name = 'order_id' AND seq_in_index = 1);
PREPARE change_table FROM @statement;
EXECUTE change_table;

SET @statement = (SELECT IF(COUNT(*) = 0, 'CREATE INDEX items_of_order ON order_items (order_id)', 'DO 0')
  FROM information_schema.statistics
  WHERE table_schema = DATABASE() AND table_name = 'order_items' AND column_name = 'order_id' AND seq_in_index = 1);
PREPARE change_table FROM @statement;
EXECUTE change_table;

DEALLOCATE PREPARE change_table;
INSERT IGNORE INTO schema_migrations (version, name, checksum) VALUES
  (3, '003_existing_shop', 'fdaaf4b63974116fcb4acb90687f72add23ab036274f30d3440e13575e74e3dc');

-- 004_dead_letters.sql
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
INSERT IGNORE INTO schema_migrations (version, name, checksum) VALUES
  (4, '004_dead_letters', '7505ea2802d6232be45f1f4775aa07367f11aeb1ad4c6a5e06528f990e3eb33c');

-- 005_jobs.sql
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
INSERT IGNORE INTO schema_migrations (version, name, checksum) VALUES
  (5, '005_jobs', '186119f5cd108d92f9604b66cc39a8d6ef0698f0553e8027dcfe81d36caaa0fc');

-- 006_relay_layout.sql
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
INSERT IGNORE INTO schema_migrations (version, name, checksum) VALUES
  (6, '006_relay_layout', 'e2b8b4fb4d0c68afd62dd9c44be5019d339b1410c45bf5e561135a3bb53c499e');
