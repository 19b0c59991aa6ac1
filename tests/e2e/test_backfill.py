"""A shop that was there before Millrace: its tables get our columns, its orders are sent once, its figures are right."""
import os
import shutil
import signal
import tempfile
import time
from pathlib import Path

import pytest

from own_servers import Mariadb
from system import wait_until

ORDERS = 4_000

SHOP = [
    """CREATE TABLE users (id VARCHAR(36) PRIMARY KEY, email VARCHAR(255) NOT NULL UNIQUE, password_hash VARCHAR(255) NOT NULL,
       name VARCHAR(255) NOT NULL, phone VARCHAR(20), created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP,
       updated_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP, deleted_at TIMESTAMP NULL)""",
    """CREATE TABLE products (id VARCHAR(36) PRIMARY KEY, name VARCHAR(255) NOT NULL, description TEXT, price DECIMAL(10,2) NOT NULL,
       category VARCHAR(100), image_url VARCHAR(500), is_active BOOLEAN DEFAULT TRUE, created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP,
       updated_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP, deleted_at TIMESTAMP NULL)""",
    """CREATE TABLE inventory (id VARCHAR(36) PRIMARY KEY, product_id VARCHAR(36) NOT NULL UNIQUE, quantity INT NOT NULL DEFAULT 0,
       reserved INT NOT NULL DEFAULT 0, available INT GENERATED ALWAYS AS (quantity - reserved) STORED,
       updated_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP, FOREIGN KEY (product_id) REFERENCES products(id))""",
    """CREATE TABLE orders (id VARCHAR(36) PRIMARY KEY, user_id VARCHAR(36) NOT NULL, total_amount DECIMAL(10,2) NOT NULL,
       status VARCHAR(50) NOT NULL DEFAULT 'PENDING', shipping_address TEXT, created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP,
       updated_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP, deleted_at TIMESTAMP NULL,
       FOREIGN KEY (user_id) REFERENCES users(id))""",
    """CREATE TABLE order_items (id BIGINT AUTO_INCREMENT PRIMARY KEY, order_id VARCHAR(36) NOT NULL, product_id VARCHAR(36) NOT NULL,
       quantity INT NOT NULL, price DECIMAL(10,2) NOT NULL, created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP,
       FOREIGN KEY (order_id) REFERENCES orders(id))""",
    """CREATE TABLE payments (id VARCHAR(36) PRIMARY KEY, order_id VARCHAR(36) NOT NULL, amount DECIMAL(10,2) NOT NULL,
       status VARCHAR(50) NOT NULL DEFAULT 'PENDING', method VARCHAR(50) NOT NULL, transaction_id VARCHAR(100),
       created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP, updated_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP)""",
    """CREATE TABLE outbox (id BIGINT AUTO_INCREMENT PRIMARY KEY, aggregate_id VARCHAR(36) NOT NULL, aggregate_type VARCHAR(50) NOT NULL,
       event_type VARCHAR(50) NOT NULL, payload JSON NOT NULL, processed BOOLEAN DEFAULT FALSE, processed_at TIMESTAMP NULL,
       retry_count INT DEFAULT 0, created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP)""",
    """INSERT INTO users (id, email, password_hash, name)
       SELECT CONCAT('u-', seq), CONCAT('u', seq, '@shop.example'), 'secret', CONCAT('User ', seq) FROM seq_1_to_40""",
    """INSERT INTO products (id, name, price, category)
       SELECT CONCAT('p-', seq), CONCAT('Product ', seq), seq + 0.99, 'All' FROM seq_1_to_12""",
    f"""INSERT INTO orders (id, user_id, total_amount, status, shipping_address, created_at, updated_at, deleted_at)
       SELECT CONCAT('o-', LPAD(seq, 6, '0')), CONCAT('u-', seq % 40 + 1), (seq % 12 + 1.99) * (seq % 3 + 1),
         ELT(seq % 5 + 1, 'PENDING', 'DELIVERED', 'CANCELLED', 'SHIPPED', 'REFUNDED'), NULL,
         '2026-01-01' + INTERVAL seq * 37 MINUTE, '2026-06-01',
         IF(seq % 20 = 0, UTC_TIMESTAMP() - INTERVAL 1 DAY, NULL) FROM seq_1_to_{ORDERS}""",
    f"""INSERT INTO order_items (order_id, product_id, quantity, price)
       SELECT CONCAT('o-', LPAD(seq, 6, '0')), CONCAT('p-', seq % 12 + 1), seq % 3 + 1, seq % 12 + 1.99 FROM seq_1_to_{ORDERS}""",
    f"""INSERT INTO payments (id, order_id, amount, status, method)
       SELECT CONCAT('pay-', seq), CONCAT('o-', LPAD(seq, 6, '0')), 1, 'COMPLETED', 'PAYPAL' FROM seq_1_to_{ORDERS}""",
]


@pytest.fixture
def shop():
    folder = Path(tempfile.mkdtemp(prefix="millrace-e2e-"))
    server = Mariadb(folder)
    try:
        for statement in SHOP:
            server.rows(statement, "shop")
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)


def to_backfill(shop):
    return shop.rows("SELECT COUNT(*) FROM orders WHERE version = 0", "shop")[0][0]


def test_the_orders_of_a_shop_are_sent_once_though_the_backfill_is_killed(make, shop):
    # Small batches, or it would be done before it is killed.
    millrace = make(**{"mysql.port": None, "mysql.embedded": False, "mysql.url": shop.url("shop"), "ordering.batch_size": 8}).start()
    assert shop.rows("SELECT COUNT(*) FROM products WHERE id LIKE 'prod-%'", "shop") == [(0,)], "no sample rows in a real shop"
    assert to_backfill(shop) == ORDERS
    told = millrace.run("verify", "--patience", "0s")
    assert told.code != 0 and f"{ORDERS} orders" in told.err and "millrace backfill" in told.err, told

    # Before they are sent: one is deleted, one is paid.
    assert millrace.delete("o-000001").status == 204
    paid = millrace.http("POST", "/api/payments", {"orderId": "o-000005", "status": "COMPLETED"})
    kills = 0
    while to_backfill(shop) > 0 and kills < 3:
        before = to_backfill(shop)
        process = millrace.begin("backfill")
        wait_until(lambda: to_backfill(shop) < before - 200 or process.poll() is not None, "orders are sent")
        os.kill(process.pid, signal.SIGKILL)
        kills += process.wait(60) == -signal.SIGKILL
    assert kills > 0, paid
    # Programs that know nothing of Millrace go on.
    shop.rows("INSERT INTO orders (id, user_id, total_amount, status) VALUES ('n-1', 'u-1', 7.50, 'SHIPPED')", "shop")

    for again in range(2):
        done = millrace.run("backfill")
        assert done.code == 0, done
        assert ("backfilled 0 orders" in done.out) == (again == 1), done
    assert to_backfill(shop) == 0
    millrace.verify()
    twice = shop.rows("SELECT aggregate_id FROM outbox WHERE event_type = 'OrderCreated' GROUP BY aggregate_id HAVING COUNT(*) > 1", "shop")
    assert twice == []
    assert millrace.clickhouse("SELECT count() FROM analytics.orders_analytics FINAL") == [(str(ORDERS + 1),)]
    assert millrace.warehouse_order("o-000020")[1:] == ("1", "DELETED")


def test_a_backfill_waits_out_an_outage_and_ends_at_ctrl_c(make, shop):
    millrace = make(**{"mysql.port": None, "mysql.embedded": False, "mysql.url": shop.url("shop")})
    assert millrace.run("init-db", "--no-sample").code == 0
    process = millrace.begin("backfill")
    wait_until(lambda: to_backfill(shop) < ORDERS, "orders are sent")
    shop.process.send_signal(signal.SIGSTOP)
    time.sleep(0.5)
    shop.process.send_signal(signal.SIGCONT)
    wait_until(lambda: to_backfill(shop) < ORDERS - 500 or process.poll() is not None, "it goes on")
    process.send_signal(signal.SIGINT)
    assert process.wait(60) in (0, 5), "done already, or stopped before the end"
    assert millrace.run("backfill").code == 0
    assert to_backfill(shop) == 0
