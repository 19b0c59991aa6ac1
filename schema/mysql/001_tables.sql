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
