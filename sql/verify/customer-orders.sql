-- The orders of some customers ($1: ids) with the score each has in the customer's set: order_date in whole milliseconds.
-- $2: ids of orders that are left out.

SELECT customer_id::text AS customer, id::text AS member,
       CASE WHEN isfinite(order_date) THEN floor(extract(epoch FROM order_date) * 1000)::bigint ELSE 0 END::text AS score
FROM public.orders
WHERE customer_id = ANY ($1::bigint[]) AND id <> ALL ($2::bigint[])
ORDER BY customer_id, id
