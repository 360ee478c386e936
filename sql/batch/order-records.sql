-- The record of each day and status: (id, record).
SELECT iso_date(day) || '|' || status AS id,
       json_object(
         'order_date', iso_date(day),
         'status', status,
         'order_count', orders,
         'total_revenue', money(coalesce(cents, 0)),
         'avg_order_value', money(quotient(cents, amounts)),
         'min_order_value', money(least_cents),
         'max_order_value', money(most_cents)
       )::VARCHAR AS record
FROM order_facts
