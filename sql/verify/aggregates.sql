-- Every counter that the replica keeps about the rows of now: (hash, field, amount), money in cents.
-- One statement, so one moment. A NaN adds nothing to a sum; a NULL label counts as (none).

SELECT hash, field, trunc(amount)::text AS amount
FROM (
  SELECT 'metrics:customers' AS hash, 'live' AS field, count(*)::numeric AS amount FROM public.customers
  UNION ALL SELECT 'metrics:products', 'live', count(*) FROM public.products
  UNION ALL SELECT 'metrics:orders', 'live', count(*) FROM public.orders
  UNION ALL SELECT 'metrics:order_items', 'live', count(*) FROM public.order_items

  UNION ALL SELECT 'metrics:customers:by_state', coalesce(state, '(none)'), count(*) FROM public.customers GROUP BY 2
  UNION ALL SELECT 'metrics:products:by_category', coalesce(category, '(none)'), count(*) FROM public.products GROUP BY 2
  UNION ALL SELECT 'metrics:orders:by_status', coalesce(status, '(none)'), count(*) FROM public.orders GROUP BY 2

  UNION ALL
  SELECT 'metrics:revenue', 'total_cents', coalesce(sum(total_amount * 100), 0)
  FROM public.orders WHERE status IS DISTINCT FROM 'cancelled' AND total_amount <> 'NaN'
  UNION ALL
  SELECT 'metrics:revenue', 'cents:' || coalesce(status, '(none)'), coalesce(sum(total_amount * 100) FILTER (WHERE total_amount <> 'NaN'), 0)
  FROM public.orders GROUP BY 2

  UNION ALL
  SELECT 'metrics:product:' || i.product_id, c.field, c.amount
  FROM (
    SELECT product_id, count(*) AS items, coalesce(sum(quantity), 0) AS sold_units,
           coalesce(sum(quantity * unit_price * 100) FILTER (WHERE unit_price <> 'NaN'), 0) AS revenue_cents
    FROM public.order_items WHERE product_id IS NOT NULL GROUP BY product_id
  ) i, LATERAL (VALUES ('items', i.items::numeric), ('sold_units', i.sold_units), ('revenue_cents', i.revenue_cents)) AS c (field, amount)
) counters
ORDER BY hash, field
