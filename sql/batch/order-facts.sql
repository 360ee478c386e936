-- The orders of the window by UTC day and status. An amount that is missing is in no sum, average, least or most.
CREATE OR REPLACE TEMP TABLE order_facts AS
SELECT order_date::DATE AS day, status, is_sale, count(*) AS orders, count(total_cents) AS amounts,
       sum(total_cents) AS cents, min(total_cents) AS least_cents, max(total_cents) AS most_cents
FROM dated_orders
WHERE in_window
GROUP BY ALL
