-- The stream's windows: (hash, field, amount), money in cents, times in milliseconds since 1970, from these moments on:
-- $1 minutes, $2 velocities, $3 activities (the beginning of a day); a last order from $4 (milliseconds) on is left out. Minutes and days are UTC.
-- The event time of an order is its order_date, or its created_at where that is no finite time.

WITH dated AS (
  SELECT id, customer_id, status, total_amount,
         CASE WHEN isfinite(order_date) AND order_date < '10000-01-01' THEN order_date WHEN isfinite(created_at) THEN created_at END AS at
  FROM public.orders
), named AS (
  SELECT to_char(at, 'YYYYMMDD_HH24MI') AS minute, status, total_amount FROM dated WHERE at >= $1::timestamp AND at < '10000-01-01'
), new AS (
  SELECT to_char(created_at, 'YYYYMMDD_HH24MI') AS minute, coalesce(state, '(none)') AS state
  FROM public.customers WHERE isfinite(created_at) AND created_at >= $1::timestamp AND created_at < '10000-01-01'
), active AS (
  SELECT 'realtime:customer:' || customer_id || ':activity' AS hash, to_char(at, 'YYYYMMDD') AS day, id, floor(extract(epoch FROM at) * 1000) AS ms, status, total_amount
  FROM dated WHERE customer_id IS NOT NULL AND at >= $3::timestamp AND at < '10000-01-01'
), last AS (
  SELECT hash, id, ms FROM (SELECT DISTINCT ON (hash) hash, id, ms FROM active ORDER BY hash, ms DESC, id::text COLLATE "C" DESC) newest WHERE ms < $4::bigint
)
SELECT hash, field, trunc(amount)::text AS amount
FROM (
  SELECT 'realtime:metrics:' || minute AS hash, 'orders' AS field, count(*)::numeric AS amount FROM named GROUP BY 1
  UNION ALL
  SELECT 'realtime:metrics:' || minute, 'orders_cancelled', count(*) FROM named WHERE status = 'cancelled' GROUP BY 1
  UNION ALL
  SELECT 'realtime:metrics:' || minute, 'revenue_cents', coalesce(sum(total_amount * 100) FILTER (WHERE total_amount <> 'NaN'), 0)
  FROM named WHERE status IS DISTINCT FROM 'cancelled' GROUP BY 1
  UNION ALL
  SELECT 'realtime:metrics:' || minute, 'new_customers', count(*) FROM new GROUP BY 1
  UNION ALL
  SELECT 'realtime:geo:customers:' || minute, state, count(*) FROM new GROUP BY 1, 2
  UNION ALL
  SELECT 'realtime:metrics:' || to_char(created_at, 'YYYYMMDD_HH24MI'), 'units', coalesce(sum(quantity), 0)
  FROM public.order_items WHERE isfinite(created_at) AND created_at >= $1::timestamp AND created_at < '10000-01-01' GROUP BY 1
  UNION ALL
  SELECT 'realtime:product:' || product_id || ':velocity', to_char(created_at, 'YYYYMMDD_HH24MI'), coalesce(sum(quantity), 0)
  FROM public.order_items WHERE product_id IS NOT NULL AND isfinite(created_at) AND created_at >= $2::timestamp AND created_at < '10000-01-01' GROUP BY 1, 2
  UNION ALL
  SELECT hash, day || ':orders', count(*) FROM active GROUP BY hash, day
  UNION ALL
  SELECT hash, day || ':cents', coalesce(sum(total_amount * 100) FILTER (WHERE total_amount <> 'NaN' AND status IS DISTINCT FROM 'cancelled'), 0) FROM active GROUP BY hash, day
  UNION ALL
  SELECT hash, 'last_order_id', id FROM last
  UNION ALL
  SELECT hash, 'last_order_ms', ms FROM last
) windows
WHERE amount <> 0
ORDER BY hash, field
