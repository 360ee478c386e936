-- The customers' records as PostgreSQL sees them at a window's end ($1): (id, record). Percentiles by linear interpolation.
-- last_order_date has six digits of a second; years before 1 AD are counted as astronomers do.

WITH dated AS (
  SELECT * FROM public.orders WHERE isfinite(order_date) AND order_date < $1::timestamp
), totals AS (
  SELECT c.id, c.first_name, c.last_name, c.city, c.state, count(o.id) AS orders, max(o.order_date) AS last_order,
         coalesce(sum(o.total_amount) FILTER (WHERE o.status IS DISTINCT FROM 'cancelled' AND o.total_amount <> 'NaN'), 0.00) AS spent
  FROM public.customers c LEFT JOIN dated o ON o.customer_id = c.id
  WHERE c.created_at IS NULL OR c.created_at < $1::timestamp
  GROUP BY c.id
), percentiles AS (
  SELECT percentile_cont(0.8) WITHIN GROUP (ORDER BY spent::float8) AS spent_80,
         percentile_cont(0.6) WITHIN GROUP (ORDER BY spent::float8) AS spent_60,
         percentile_cont(0.8) WITHIN GROUP (ORDER BY orders::float8) AS orders_80
  FROM totals
), days AS (
  SELECT id, coalesce(floor(extract(epoch FROM $1::timestamp - last_order) / 86400), 999)::int AS idle FROM totals
)
SELECT id::text AS id,
       json_build_object(
         'customer_id', id, 'first_name', first_name, 'last_name', last_name, 'city', city, 'state', state,
         'total_orders', orders, 'total_spent', spent::numeric(38, 2)::text,
         'last_order_date', CASE WHEN last_order < '0001-01-01' THEN '-' || lpad((-1 - extract(year FROM last_order))::text, 4, '0')
                                 ELSE to_char(last_order, 'YYYY') END || to_char(last_order, '-MM-DD"T"HH24:MI:SS.US"Z"'),
         'customer_segment', CASE WHEN spent >= spent_80 AND orders >= orders_80 THEN 'Gold'
                                  WHEN spent >= spent_60 OR orders >= orders_80 THEN 'Silver' ELSE 'Bronze' END,
         'estimated_clv', (2 * spent)::numeric(38, 2)::text, 'days_since_last_order', idle,
         'recency_segment', CASE WHEN idle <= 7 THEN 'Very Active' WHEN idle <= 30 THEN 'Active' ELSE 'Inactive' END
       ) AS record
FROM totals JOIN days USING (id) CROSS JOIN percentiles
