-- The counters of some products ($1: ids): (product, field, amount), money in cents. $2: ids of order_items that are left out.

SELECT i.product_id::text AS product, c.field, trunc(c.amount)::text AS amount
FROM (
  SELECT product_id, count(*) AS items, coalesce(sum(quantity), 0) AS sold_units,
         coalesce(sum(quantity * unit_price * 100) FILTER (WHERE unit_price <> 'NaN'), 0) AS revenue_cents
  FROM public.order_items WHERE product_id = ANY ($1::bigint[]) AND id <> ALL ($2::bigint[]) GROUP BY product_id
) i, LATERAL (VALUES ('items', i.items::numeric), ('sold_units', i.sold_units), ('revenue_cents', i.revenue_cents)) AS c (field, amount)
ORDER BY i.product_id, c.field
