-- The orders' records of a window (end $1, exclusive; start $2) by UTC day and status: (id, record).

SELECT to_char(day, 'YYYY-MM-DD') || '|' || status AS id,
       json_build_object(
         'order_date', to_char(day, 'YYYY-MM-DD'), 'status', status, 'order_count', count(*),
         'total_revenue', coalesce(sum(amount), 0)::numeric(38, 2)::text,
         'avg_order_value', round(avg(amount), 2)::numeric(38, 2)::text,
         'min_order_value', min(amount)::numeric(38, 2)::text,
         'max_order_value', max(amount)::numeric(38, 2)::text
       ) AS record
FROM (
  SELECT date_trunc('day', order_date) AS day, coalesce(status, '(none)') AS status, nullif(total_amount, 'NaN') AS amount
  FROM public.orders WHERE isfinite(order_date) AND order_date >= $2::timestamp AND order_date < $1::timestamp
) dated
GROUP BY day, status
