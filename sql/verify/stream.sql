-- The stream's windows from a moment on ($1): (hash, field, amount), money in cents, a window for each UTC minute of event time.
-- The event time of an order is its order_date, or its created_at where that is no finite time.

WITH dated AS (
  SELECT status, total_amount,
         CASE WHEN isfinite(order_date) AND order_date < '10000-01-01' THEN order_date WHEN isfinite(created_at) THEN created_at END AS at
  FROM public.orders
), named AS (
  SELECT to_char(at, 'YYYYMMDD_HH24MI') AS minute, status, total_amount FROM dated WHERE at >= $1::timestamp AND at < '10000-01-01'
), new AS (
  SELECT to_char(created_at, 'YYYYMMDD_HH24MI') AS minute, coalesce(state, '(none)') AS state
  FROM public.customers WHERE isfinite(created_at) AND created_at >= $1::timestamp AND created_at < '10000-01-01'
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
) windows
WHERE amount <> 0
ORDER BY hash, field
