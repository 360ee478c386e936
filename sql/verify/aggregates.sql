-- Every counter that the replica keeps about whole tables of now: (hash, field, amount), money in cents.
-- One statement, so one moment. A NaN adds nothing to a sum; a NULL label counts as (none).
-- $1 … $4: ids that are left out, of customers, products, orders and order_items.

SELECT hash, field, trunc(amount)::text AS amount
FROM (
  SELECT 'metrics:customers' AS hash, 'live' AS field, count(*)::numeric AS amount FROM public.customers WHERE id <> ALL ($1::bigint[])
  UNION ALL SELECT 'metrics:products', 'live', count(*) FROM public.products WHERE id <> ALL ($2::bigint[])
  UNION ALL SELECT 'metrics:orders', 'live', count(*) FROM public.orders WHERE id <> ALL ($3::bigint[])
  UNION ALL SELECT 'metrics:order_items', 'live', count(*) FROM public.order_items WHERE id <> ALL ($4::bigint[])

  UNION ALL SELECT 'metrics:customers:by_state', coalesce(state, '(none)'), count(*) FROM public.customers WHERE id <> ALL ($1::bigint[]) GROUP BY 2
  UNION ALL SELECT 'metrics:products:by_category', coalesce(category, '(none)'), count(*) FROM public.products WHERE id <> ALL ($2::bigint[]) GROUP BY 2
  UNION ALL SELECT 'metrics:orders:by_status', coalesce(status, '(none)'), count(*) FROM public.orders WHERE id <> ALL ($3::bigint[]) GROUP BY 2

  UNION ALL
  SELECT 'metrics:revenue', 'total_cents', coalesce(sum(total_amount * 100), 0)
  FROM public.orders WHERE status IS DISTINCT FROM 'cancelled' AND total_amount <> 'NaN' AND id <> ALL ($3::bigint[])
  UNION ALL
  SELECT 'metrics:revenue', 'cents:' || coalesce(status, '(none)'), coalesce(sum(total_amount * 100) FILTER (WHERE total_amount <> 'NaN'), 0)
  FROM public.orders WHERE id <> ALL ($3::bigint[]) GROUP BY 2
) counters
ORDER BY hash, field
