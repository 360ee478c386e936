-- The shop: the four tables of the source, column for column as the pipeline's contract names them.
-- Only what no shop can do without is NOT NULL: the replica must follow whatever a real source holds.
-- Times are UTC without zone, whatever the session's time zone.

CREATE TABLE public.customers (
  id          serial PRIMARY KEY,
  first_name  text NOT NULL,
  last_name   text NOT NULL,
  email       text NOT NULL UNIQUE,
  phone       text,
  address     text,
  city        text,
  state       text,
  zip_code    text,
  created_at  timestamp DEFAULT timezone('UTC', now()),
  updated_at  timestamp DEFAULT timezone('UTC', now())
);

CREATE TABLE public.products (
  id              serial PRIMARY KEY,
  name            text NOT NULL,
  description     text,
  price           decimal(10, 2) NOT NULL,
  category        text,
  stock_quantity  integer DEFAULT 0,
  created_at      timestamp DEFAULT timezone('UTC', now()),
  updated_at      timestamp DEFAULT timezone('UTC', now())
);

CREATE TABLE public.orders (
  id                serial PRIMARY KEY,
  customer_id       integer REFERENCES public.customers (id),
  order_date        timestamp DEFAULT timezone('UTC', now()),
  total_amount      decimal(10, 2),
  status            text DEFAULT 'pending',
  shipping_address  text,
  created_at        timestamp DEFAULT timezone('UTC', now()),
  updated_at        timestamp DEFAULT timezone('UTC', now())
);

CREATE TABLE public.order_items (
  id          serial PRIMARY KEY,
  order_id    integer REFERENCES public.orders (id),
  product_id  integer REFERENCES public.products (id),
  quantity    integer,
  unit_price  decimal(10, 2),
  created_at  timestamp DEFAULT timezone('UTC', now())
);

CREATE INDEX customers_created_at_idx ON public.customers (created_at);
CREATE INDEX orders_customer_id_idx ON public.orders (customer_id);
CREATE INDEX orders_order_date_idx ON public.orders (order_date);
CREATE INDEX orders_open_idx ON public.orders (id) WHERE status IN ('pending', 'processing', 'shipped');
CREATE INDEX order_items_order_id_idx ON public.order_items (order_id);
CREATE INDEX order_items_product_id_idx ON public.order_items (product_id);
CREATE INDEX order_items_created_at_idx ON public.order_items (created_at);

CREATE FUNCTION public.touch_updated_at() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  NEW.updated_at := timezone('UTC', now());
  RETURN NEW;
END
$$;

CREATE TRIGGER customers_updated_at BEFORE UPDATE ON public.customers
  FOR EACH ROW EXECUTE FUNCTION public.touch_updated_at();
CREATE TRIGGER products_updated_at BEFORE UPDATE ON public.products
  FOR EACH ROW EXECUTE FUNCTION public.touch_updated_at();
CREATE TRIGGER orders_updated_at BEFORE UPDATE ON public.orders
  FOR EACH ROW EXECUTE FUNCTION public.touch_updated_at();
