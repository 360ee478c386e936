-- The orders a run is about: dated before the window's end, at a finite time. A cancelled one is an order and no sale.
CREATE OR REPLACE TEMP VIEW dated_orders AS
SELECT id, customer_id, order_date, total_cents, coalesce(status, '(none)') AS status,
       status IS DISTINCT FROM 'cancelled' AS is_sale,
       order_date >= getvariable('window_start') AS in_window
FROM orders
WHERE isfinite(order_date) AND order_date < getvariable('window_end')
