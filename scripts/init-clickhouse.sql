-- The analytics database. Every statement may be run again at any time; `millrace init-warehouse` and `millrace up` do so.

CREATE DATABASE IF NOT EXISTS analytics;

-- One row per order: the newest version wins. A deleted order stays as a row with is_deleted = 1 until it is purged 7 days
-- after deleted_at. No TTL clause does that: a TTL merge may drop the tombstone before it met the older row that it hides, and
-- the deleted order is back. A purge job (docs/specs/purge.md) deletes the old versions first and the tombstone last.
-- An insert that lands after not_after is refused: a row that was under way when its order was purged must not come in late.
-- not_after is an ordinary column because the engine's constraints know no EPHEMERAL ones; whoever leaves it out may insert
-- at any time.
-- The partition never changes for an order, so all of its versions always meet; read it with FINAL.
CREATE TABLE IF NOT EXISTS analytics.orders_analytics
(
    order_id String,
    user_id String,
    user_email String,
    order_date DateTime('UTC'),
    total_amount Decimal(18, 2),
    items_count UInt32,
    status String,
    payment_method String,
    payment_status String,
    created_at DateTime('UTC'),
    version UInt64,
    event_type String,
    deleted_at Nullable(DateTime('UTC')),
    is_deleted UInt8,
    not_after DateTime64(3, 'UTC') DEFAULT toDateTime64('2106-01-01 00:00:00', 3, 'UTC') CODEC(ZSTD),
    CONSTRAINT insert_deadline CHECK now64(3) <= not_after
)
ENGINE = ReplacingMergeTree(version)
PARTITION BY toYear(order_date)
ORDER BY order_id
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, min_rows_to_fsync_after_merge = 1;

-- For tables made before these two were there.
ALTER TABLE analytics.orders_analytics
    ADD COLUMN IF NOT EXISTS not_after DateTime64(3, 'UTC') DEFAULT toDateTime64('2106-01-01 00:00:00', 3, 'UTC') CODEC(ZSTD);

ALTER TABLE analytics.orders_analytics
    ADD CONSTRAINT IF NOT EXISTS insert_deadline CHECK now64(3) <= not_after;

-- Deleted orders that the purge removes or has removed, each with the version of its tombstone. It is written before anything is
-- deleted, and kept: a replayed event that is not newer stays out of orders_analytics. purged_at is this server's clock.
CREATE TABLE IF NOT EXISTS analytics.purged_orders
(
    order_id String,
    version UInt64,
    purged_at DateTime64(3, 'UTC') DEFAULT now64(3)
)
ENGINE = ReplacingMergeTree(version)
ORDER BY order_id
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, min_rows_to_fsync_after_merge = 1;

-- Running sums. A row says: over all records of `source` (one partition of one topic incarnation) with an offset below `upto`,
-- this key sums up to these measures. The newest row of a key and source is true for its own offset whoever wrote it and however
-- often, so repeats are harmless; readers take the newest per source (FINAL) and add the sources up.
-- Dimensions and their keys (unused ones are empty):
--   hour_status: bucket = the hour, key1 = status          order_count, amount
--   day_user:    bucket = the day, key1 = user id          sale_count
--   user_day:    leader = user id, bucket = the day, key1 = e-mail   order_count, sale_count, amount
--   day_product: bucket = the day, key1 = product id, key2 = product name   quantity, amount
CREATE TABLE IF NOT EXISTS analytics.rollups
(
    dimension Enum8('hour_status' = 1, 'day_user' = 2, 'user_day' = 3, 'day_product' = 4),
    leader String,
    bucket DateTime('UTC'),
    key1 String,
    key2 String,
    source LowCardinality(String),
    upto UInt64,
    order_count Int64,
    sale_count Int64,
    quantity Int64,
    amount Decimal(18, 4)
)
ENGINE = ReplacingMergeTree(upto)
ORDER BY (dimension, leader, bucket, key1, key2, source)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, min_rows_to_fsync_after_merge = 1;

-- Where the sink goes on reading after a restart: written only after every part of a batch that ends at `upto` was acknowledged.
CREATE TABLE IF NOT EXISTS analytics.sink_position
(
    source String,
    upto UInt64,
    input_offset Int64,
    updated_at DateTime64(3, 'UTC')
)
ENGINE = ReplacingMergeTree(upto)
ORDER BY source
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, min_rows_to_fsync_after_merge = 1;

-- What the sinks have been told over Kafka Connect's REST interface (docs/specs/connect.md): the newest revision counts, and none at all
-- means that the connector runs as it is built in. The configuration holds no secret.
CREATE TABLE IF NOT EXISTS analytics.connectors
(
    name String,
    config String,
    state Enum8('RUNNING' = 1, 'PAUSED' = 2, 'STOPPED' = 3, 'DELETED' = 4),
    restarts UInt64,
    revision UInt64
)
ENGINE = ReplacingMergeTree(revision)
ORDER BY name
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, min_rows_to_fsync_after_merge = 1;

-- Lives of the tables orders_analytics and rollups (docs/specs/rebuild.md). A rebuild makes the next generation beside them and puts it in their place:
-- the highest number with an activated_at is the one in use, none at all means 0. Its snapshot stands in snapshot_g<number>, and its
-- rollups take only sources that begin with "<number>/".
CREATE TABLE IF NOT EXISTS analytics.generations
(
    generation UInt32,
    snapshot_version_max UInt64,
    activated_at DateTime64(3, 'UTC')
)
ENGINE = ReplacingMergeTree(activated_at)
ORDER BY generation
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, min_rows_to_fsync_after_merge = 1;

-- The views that users select from: finished numbers, one row per key, right at any moment. Averages are divided at reading.

CREATE OR REPLACE VIEW analytics.daily_sales_mv AS
SELECT
    order_date,
    toUInt64(sum(orders)) AS order_count,
    CAST(sum(revenue), 'Decimal(38, 2)') AS total_revenue,
    CAST(round(CAST(sum(revenue), 'Decimal(38, 6)') / sum(orders), 2), 'Decimal(38, 2)') AS avg_order_value,
    toUInt64(countIf(sales > 0)) AS unique_customers
FROM
(
    SELECT
        toDate(bucket) AS order_date,
        if(dimension = 'day_user', key1, '') AS user_id,
        sumIf(r.order_count, dimension = 'hour_status') AS orders,
        sumIf(r.amount, dimension = 'hour_status') AS revenue,
        sumIf(r.sale_count, dimension = 'day_user') AS sales
    FROM analytics.rollups AS r FINAL
    WHERE dimension IN ('hour_status', 'day_user') AND leader = ''
        AND (dimension = 'day_user' OR key1 NOT IN ('CANCELLED', 'REFUNDED'))
    GROUP BY order_date, user_id
)
GROUP BY order_date
HAVING sum(orders) != 0;

CREATE OR REPLACE VIEW analytics.hourly_sales_mv AS
SELECT
    bucket AS order_hour,
    toUInt64(sum(r.order_count)) AS order_count,
    CAST(sum(r.amount), 'Decimal(38, 2)') AS total_revenue,
    CAST(round(CAST(sum(r.amount), 'Decimal(38, 6)') / sum(r.order_count), 2), 'Decimal(38, 2)') AS avg_order_value
FROM analytics.rollups AS r FINAL
WHERE dimension = 'hour_status' AND leader = '' AND key1 NOT IN ('CANCELLED', 'REFUNDED')
GROUP BY bucket
HAVING sum(r.order_count) != 0;

CREATE OR REPLACE VIEW analytics.order_status_mv AS
SELECT
    toDate(bucket) AS order_date,
    key1 AS status,
    toUInt64(sum(r.order_count)) AS order_count,
    CAST(sum(r.amount), 'Decimal(38, 2)') AS total_amount
FROM analytics.rollups AS r FINAL
WHERE dimension = 'hour_status' AND leader = ''
GROUP BY order_date, status
HAVING sum(r.order_count) != 0;

CREATE OR REPLACE VIEW analytics.user_analytics_mv AS
SELECT
    leader AS user_id,
    key1 AS user_email,
    toDate(bucket) AS order_date,
    toUInt64(sum(r.order_count)) AS order_count,
    CAST(sum(r.amount), 'Decimal(38, 2)') AS total_spent,
    CAST(round(CAST(sum(r.amount), 'Decimal(38, 6)') / sum(r.order_count), 2), 'Decimal(38, 2)') AS avg_order_value
FROM analytics.rollups AS r FINAL
WHERE dimension = 'user_day'
GROUP BY user_id, user_email, order_date
HAVING sum(r.order_count) != 0;

CREATE OR REPLACE VIEW analytics.product_ranking_mv AS
SELECT
    toDate(bucket) AS order_date,
    key1 AS product_id,
    key2 AS product_name,
    toUInt64(sum(r.quantity)) AS quantity,
    CAST(sum(r.amount), 'Decimal(38, 4)') AS revenue
FROM analytics.rollups AS r FINAL
WHERE dimension = 'day_product' AND leader = ''
GROUP BY order_date, product_id, product_name
HAVING sum(r.quantity) != 0;

-- Customers with at least one sale (neither cancelled, refunded nor deleted), over all time.
CREATE OR REPLACE VIEW analytics.customers_mv AS
SELECT
    leader AS user_id,
    toUInt64(sum(r.sale_count)) AS order_count
FROM analytics.rollups AS r FINAL
WHERE dimension = 'user_day'
GROUP BY user_id
HAVING sum(r.sale_count) != 0;
