-- The record of each customer: (id, record).
SELECT id::VARCHAR AS id,
       json_object(
         'customer_id', id,
         'first_name', c.first_name,
         'last_name', c.last_name,
         'city', c.city,
         'state', c.state,
         'total_orders', f.total_orders,
         'total_spent', money(f.spent_cents),
         'last_order_date', iso_time(f.last_order),
         'customer_segment', f.segment,
         'estimated_clv', money(2 * f.spent_cents),
         'days_since_last_order', f.idle_days,
         'recency_segment', f.recency
       )::VARCHAR AS record
FROM customer_facts f JOIN customers c USING (id)
