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
