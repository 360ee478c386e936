-- A shop that is open on its first day: every order's total equals its items.

INSERT INTO public.customers (first_name, last_name, email, phone, address, city, state, zip_code) VALUES
  ('Ada',    'Marsh',   'ada.marsh@example.com',    '555-0101', '12 Weir Lane',   'Portland', 'OR', '97201'),
  ('Bruno',  'Keller',  'bruno.keller@example.com', '555-0102', '4 Lock Street',  'Austin',   'TX', '73301'),
  ('Chidi',  'Okafor',  'chidi.okafor@example.com', '555-0103', '77 Canal Road',  'Albany',   'NY', '12207'),
  ('Dina',   'Haddad',  'dina.haddad@example.com',  '555-0104', '9 Harbor View',  'Seattle',  'WA', '98101'),
  ('Emil',   'Lund',    'emil.lund@example.com',    '555-0105', '31 Mill Pond',   'Madison',  'WI', '53703');

INSERT INTO public.products (name, description, price, category, stock_quantity) VALUES
  ('Desk Lamp',       'Warm light, folding arm',        '39.90', 'Home',        240),
  ('Trail Backpack',  'Thirty litres, rain cover',      '89.00', 'Sports',      180),
  ('Travel Kettle',   'Half a litre, folding handle',   '24.50', 'Kitchen',     300),
  ('Noise Canceller', 'Over-ear headphones',           '199.99', 'Electronics', 120),
  ('Field Notebook',  'Three pieces, dotted',           '12.95', 'Books',       600),
  ('Wool Blanket',    'Two metres, undyed',             '74.25', 'Home',         90);

WITH basket (customer, status, product, quantity) AS (
  VALUES ('ada.marsh@example.com',    'delivered',  'Desk Lamp',       1),
         ('ada.marsh@example.com',    'delivered',  'Field Notebook',  4),
         ('bruno.keller@example.com', 'processing', 'Noise Canceller', 1),
         ('chidi.okafor@example.com', 'pending',    'Travel Kettle',   2),
         ('chidi.okafor@example.com', 'pending',    'Trail Backpack',  1),
         ('dina.haddad@example.com',  'cancelled',  'Wool Blanket',    2)
), line AS (
  SELECT c.id AS customer_id, b.status, p.id AS product_id, b.quantity, p.price
  FROM basket b JOIN public.customers c ON c.email = b.customer JOIN public.products p ON p.name = b.product
), placed AS (
  INSERT INTO public.orders (customer_id, total_amount, status, shipping_address)
  SELECT l.customer_id, sum(l.quantity * l.price), l.status, min(c.address)
  FROM line l JOIN public.customers c ON c.id = l.customer_id
  GROUP BY l.customer_id, l.status ORDER BY l.customer_id
  RETURNING id, customer_id
)
INSERT INTO public.order_items (order_id, product_id, quantity, unit_price)
SELECT o.id, l.product_id, l.quantity, l.price FROM placed o JOIN line l USING (customer_id) ORDER BY o.id, l.product_id;
