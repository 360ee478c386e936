-- The products' records as PostgreSQL sees them at a window's end ($1), the window beginning at $2: (id, record).
-- Percentiles by linear interpolation.

WITH sold AS (
  SELECT i.product_id, count(DISTINCT i.order_id) AS orders, coalesce(sum(i.quantity), 0) AS units,
         coalesce(sum(i.quantity * i.unit_price) FILTER (WHERE i.unit_price <> 'NaN'), 0) AS revenue,
         coalesce(sum(i.quantity) FILTER (WHERE o.order_date >= $2::timestamp), 0) AS window_units,
         coalesce(sum(i.quantity * i.unit_price) FILTER (WHERE i.unit_price <> 'NaN' AND o.order_date >= $2::timestamp), 0) AS window_revenue
  FROM public.order_items i JOIN public.orders o ON o.id = i.order_id
  WHERE isfinite(o.order_date) AND o.order_date < $1::timestamp AND o.status IS DISTINCT FROM 'cancelled'
  GROUP BY i.product_id
), totals AS (
  SELECT p.id, p.name, p.category, p.price, coalesce(p.stock_quantity, 0) AS stock, coalesce(s.orders, 0) AS orders, coalesce(s.units, 0) AS units,
         coalesce(s.revenue, 0) AS revenue, coalesce(s.window_units, 0) AS window_units, coalesce(s.window_revenue, 0) AS window_revenue,
         coalesce(s.units, 0)::numeric / greatest(coalesce(p.stock_quantity, 0), 1) AS turnover
  FROM public.products p LEFT JOIN sold s ON s.product_id = p.id
  WHERE p.created_at IS NULL OR p.created_at < $1::timestamp
), percentiles AS (
  SELECT percentile_cont(0.8) WITHIN GROUP (ORDER BY revenue::float8) AS revenue_80,
         percentile_cont(0.8) WITHIN GROUP (ORDER BY turnover::float8) AS turnover_80
  FROM totals
)
SELECT id::text AS id,
       json_build_object(
         'product_id', id, 'name', name, 'category', category, 'price', price::text, 'stock_quantity', stock,
         'total_sold', units, 'total_revenue', revenue::numeric(38, 2)::text, 'unique_orders', orders,
         'window_sold', window_units, 'window_revenue', window_revenue::numeric(38, 2)::text,
         'revenue_per_unit', coalesce(round(revenue / nullif(units, 0), 2), 0)::numeric(38, 2)::text,
         'turnover_rate', trim_scale(round(turnover, 4)),
         'performance_category', CASE WHEN revenue >= revenue_80 AND turnover::float8 >= turnover_80 THEN 'Star Product'
                                      WHEN turnover::float8 >= turnover_80 THEN 'Fast Moving'
                                      WHEN revenue >= revenue_80 THEN 'High Revenue' ELSE 'Low Performer' END,
         'stock_status', CASE WHEN stock <= 0 THEN 'Out of Stock' WHEN stock <= 10 THEN 'Low Stock'
                              WHEN stock >= 500 THEN 'Overstock' ELSE 'Normal' END
       ) AS record
FROM totals CROSS JOIN percentiles
