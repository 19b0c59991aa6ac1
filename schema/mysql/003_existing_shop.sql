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
