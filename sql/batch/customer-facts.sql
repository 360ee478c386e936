-- What each customer adds up to at the window's end, and the segments that follow.
CREATE OR REPLACE TEMP TABLE customer_facts AS
WITH ordering AS (
  SELECT customer_id, count(*) AS total_orders, sum(total_cents) FILTER (WHERE is_sale) AS spent_cents, max(order_date) AS last_order
  FROM dated_orders
  GROUP BY customer_id
), totals AS MATERIALIZED (
  SELECT c.id, coalesce(o.total_orders, 0) AS total_orders, coalesce(o.spent_cents, 0) AS spent_cents, o.last_order,
         coalesce((epoch_us(getvariable('window_end')) - epoch_us(o.last_order)) // 86_400_000_000, 999) AS idle_days
  FROM customers c LEFT JOIN ordering o ON o.customer_id = c.id
  WHERE c.created_at IS NULL OR c.created_at < getvariable('window_end')
), size AS (
  SELECT count(*) AS n FROM totals
), cutoffs AS (
  SELECT (SELECT spent_cents FROM totals ORDER BY spent_cents LIMIT 1 OFFSET (SELECT place_of(4, n) FROM size)) AS spent_p80,
         (SELECT spent_cents FROM totals ORDER BY spent_cents LIMIT 1 OFFSET (SELECT place_of(3, n) FROM size)) AS spent_p60,
         (SELECT total_orders FROM totals ORDER BY total_orders LIMIT 1 OFFSET (SELECT place_of(4, n) FROM size)) AS orders_p80
)
SELECT id, total_orders, spent_cents, last_order, idle_days,
       CASE
         WHEN spent_cents >= spent_p80 AND total_orders >= orders_p80 THEN 'Gold'
         WHEN spent_cents >= spent_p60 OR total_orders >= orders_p80 THEN 'Silver'
         ELSE 'Bronze'
       END AS segment,
       CASE WHEN idle_days <= 7 THEN 'Very Active' WHEN idle_days <= 30 THEN 'Active' ELSE 'Inactive' END AS recency
FROM totals, cutoffs
