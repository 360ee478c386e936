-- What each product sold before the window's end, cancelled orders left out, and the categories that follow.
CREATE OR REPLACE TEMP TABLE product_facts AS
WITH lines AS NOT MATERIALIZED (
  SELECT i.product_id, i.order_id, i.quantity, i.quantity::HUGEINT * i.unit_price_cents AS cents, o.in_window
  FROM order_items i JOIN dated_orders o ON o.id = i.order_id
  WHERE o.is_sale
), sales AS (
  SELECT product_id, sum(quantity) AS units, sum(cents) AS cents,
         sum(quantity) FILTER (WHERE in_window) AS window_units, sum(cents) FILTER (WHERE in_window) AS window_cents
  FROM lines
  GROUP BY product_id
), ordered AS (
  -- A product of an order once, whatever the number of its items: unlike count(DISTINCT …) this spills well, and it carries no sums with it.
  SELECT product_id, count(*) AS orders FROM (SELECT DISTINCT product_id, order_id FROM lines) GROUP BY product_id
), totals AS MATERIALIZED (
  SELECT p.id, coalesce(p.stock_quantity, 0) AS stock, coalesce(d.orders, 0) AS orders,
         coalesce(s.units, 0) AS units, coalesce(s.cents, 0) AS cents,
         coalesce(s.window_units, 0) AS window_units, coalesce(s.window_cents, 0) AS window_cents,
         -- What is compared only; what is shown is rounded in whole numbers.
         coalesce(s.units, 0)::DOUBLE / greatest(coalesce(p.stock_quantity, 0), 1) AS turnover
  FROM products p LEFT JOIN sales s ON s.product_id = p.id LEFT JOIN ordered d ON d.product_id = p.id
  WHERE p.created_at IS NULL OR p.created_at < getvariable('window_end')
), size AS (
  SELECT count(*) AS n FROM totals
), cutoffs AS (
  SELECT (SELECT cents FROM totals ORDER BY cents LIMIT 1 OFFSET (SELECT place_of(4, n) FROM size)) AS cents_p80,
         (SELECT turnover FROM totals ORDER BY turnover LIMIT 1 OFFSET (SELECT place_of(4, n) FROM size)) AS turnover_p80
)
SELECT id, stock, orders, units, cents, window_units, window_cents,
       CASE
         WHEN cents >= cents_p80 AND turnover >= turnover_p80 THEN 'Star Product'
         WHEN turnover >= turnover_p80 THEN 'Fast Moving'
         WHEN cents >= cents_p80 THEN 'High Revenue'
         ELSE 'Low Performer'
       END AS performance,
       CASE WHEN stock <= 0 THEN 'Out of Stock' WHEN stock <= 10 THEN 'Low Stock' WHEN stock >= 500 THEN 'Overstock' ELSE 'Normal' END AS stock_status
FROM totals, cutoffs
