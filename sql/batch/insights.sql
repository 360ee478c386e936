-- What the run found as one JSON text: counts, sums and labels, nothing about a person.
WITH by_status AS (
  SELECT status, sum(orders) AS orders FROM order_facts GROUP BY status ORDER BY status
)
SELECT json_object(
  'records_processed', json_object(
    'customers', (SELECT count(*) FROM customer_facts),
    'products', (SELECT count(*) FROM product_facts),
    'orders', (SELECT count(*) FROM order_facts)
  ),
  'customer_insights', (
    SELECT json_object(
      'total_customers', count(*),
      'segments', coalesce(to_json(histogram(segment)), '{}'),
      'recency_segments', coalesce(to_json(histogram(recency)), '{}'),
      'avg_customer_value', coalesce(money(quotient(sum(spent_cents), nullif(count(*), 0))), '0.00'),
      'total_customer_value', money(coalesce(sum(spent_cents), 0))
    )
    FROM customer_facts
  ),
  'product_insights', (
    SELECT json_object(
      'total_products', count(*),
      'performance_categories', coalesce(to_json(histogram(performance)), '{}'),
      'stock_status', coalesce(to_json(histogram(stock_status)), '{}'),
      'total_revenue', money(coalesce(sum(cents), 0)),
      'avg_units_sold', coalesce(ten_thousandths(100 * quotient(100 * sum(units), nullif(count(*), 0))), 0)
    )
    FROM product_facts
  ),
  'order_insights', (
    SELECT json_object(
      'total_orders', coalesce(sum(orders), 0),
      'total_revenue', money(coalesce(sum(cents) FILTER (WHERE is_sale), 0)),
      'avg_order_value', coalesce(money(quotient(sum(cents) FILTER (WHERE is_sale), nullif(sum(amounts) FILTER (WHERE is_sale), 0))), '0.00'),
      'status_distribution', (SELECT coalesce(json_group_object(status, orders), '{}') FROM by_status)
    )
    FROM order_facts
  ),
  'orders_without_date', (SELECT count(*) FROM orders WHERE isfinite(order_date) IS NOT TRUE)
)::VARCHAR AS insights
