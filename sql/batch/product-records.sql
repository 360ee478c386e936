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
         'revenue_per_unit', CASE WHEN f.units = 0 THEN '0.00' ELSE money(quotient(f.cents, f.units)) END,
         'turnover_rate', ten_thousandths(quotient(10_000 * f.units, greatest(f.stock, 1))),
         'performance_category', f.performance,
         'stock_status', f.stock_status
       )::VARCHAR AS record
FROM product_facts f JOIN products p USING (id)
