-- The record of each product: (id, record).
SELECT id::VARCHAR AS id,
       json_object(
         'product_id', id,
         'name', p.name,
         'category', p.category,
         'price', p.price_text,
         'stock_quantity', f.stock,
         'total_sold', f.units,
         'total_revenue', money(f.cents),
         'unique_orders', f.orders,
         'window_sold', f.window_units,
         'window_revenue', money(f.window_cents),
         'revenue_per_unit', money(f.unit_cents),
         'turnover_rate', ten_thousandths(f.turnover),
         'performance_category', f.performance,
         'stock_status', f.stock_status
       )::VARCHAR AS record
FROM (
  -- A macro writes out its argument several times: it gets the name of a column, not a division.
  SELECT *, CASE WHEN units = 0 THEN 0 ELSE quotient(cents, units) END AS unit_cents, quotient(10_000 * units, greatest(stock, 1)) AS turnover
  FROM product_facts
) f JOIN products p USING (id)
