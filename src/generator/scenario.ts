/**
 * What happens in the shop next: a pure function of the shop, a seed and the time.
 * Invariant: an order's total equals its items to the cent, sales never exceed the stock seen, and what is removed is not
 * ordered in the same batch, so that actions may be applied grouped by kind, removals last.
 */
import { faker } from '@faker-js/faker/locale/en';

export const openStatuses = ['pending', 'processing', 'shipped'] as const;
export type OpenStatus = (typeof openStatuses)[number];

/** A bounded view of the shop: a window of its rows, and how far its ids reach. */
export interface Shop {
  customers: { id: number; hasOrders: boolean }[];
  products: { id: number; priceCents: number; stock: number; hasSales: boolean }[];
  openOrders: { id: number; status: OpenStatus }[];
  /** Delivered or cancelled, oldest first. */
  closedOrders: number[];
  /** Highest minus lowest id, roughly the number of rows. */
  ordersSpan: number;
  customersSpan: number;
  productsSpan: number;
}

export interface OrderLine {
  productId: number;
  quantity: number;
  unitPriceCents: number;
}

interface Place {
  address: string;
  city: string;
  state: string;
  zipCode: string;
}

export type Action =
  | ({ kind: 'addCustomer'; firstName: string; lastName: string; email: string; phone: string } & Place)
  | ({ kind: 'moveCustomer'; id: number } & Place)
  | { kind: 'changePhone'; id: number; phone: string }
  | { kind: 'addProduct'; name: string; description: string; priceCents: number; category: string; stock: number }
  | { kind: 'repriceProduct'; id: number; priceCents: number }
  | { kind: 'restockProduct'; id: number; quantity: number }
  | { kind: 'placeOrder'; customerId: number; orderDate: string; shippingAddress: string; totalCents: number; lines: OrderLine[] }
  | { kind: 'setOrderStatus'; id: number; status: 'processing' | 'shipped' | 'delivered' | 'cancelled' }
  | { kind: 'removeOrder' | 'removeCustomer' | 'removeProduct'; id: number };
export type ActionKind = Action['kind'];

/** Beyond these the shop sheds as much as it takes on, so a stack left running does not grow for ever. */
const ordersMax = 50_000;
const customersMax = 20_000;
const productsMax = 500;

const categories = ['Electronics', 'Books', 'Home', 'Sports', 'Toys', 'Kitchen', 'Garden', 'Clothing'];
const nextStatus = { pending: 'processing', processing: 'shipped', shipped: 'delivered' } as const;

/** Maker of one action: its share among all, and the action itself, or undefined when the shop has nothing for it. */
interface Maker {
  weight: number;
  make: () => Action | undefined;
}

/**
 * The next `count` actions (fewer only in a shop with nothing to sell or move). The same arguments give the same actions.
 * `seed`: any integers; `now`: time of the orders.
 */
export function planBatch(shop: Shop, options: { seed: number[]; count: number; now: Date }): Action[] {
  faker.seed(options.seed);
  const choices = shopMakers(structuredClone(shop), options.now).map(({ weight, make }) => ({ weight, value: make }));
  const actions = Array.from({ length: options.count }, () => faker.helpers.weightedArrayElement(choices)());
  return actions.filter((action) => action !== undefined);
}

function shopMakers(shop: Shop, now: Date): Maker[] {
  const manyOrders = shop.ordersSpan > ordersMax;
  const manyCustomers = shop.customersSpan > customersMax;
  const manyProducts = shop.productsSpan > productsMax;
  return [
    { weight: manyCustomers ? 2 : 10, make: addCustomer },
    { weight: 1, make: () => editCustomer(shop, (id) => ({ kind: 'moveCustomer', id, ...aPlace() })) }, // each move takes a new customer out of the state it came from
    { weight: 7, make: () => editCustomer(shop, (id) => ({ kind: 'changePhone', id, phone: aPhone() })) },
    { weight: manyProducts ? 0.02 : 2, make: addProduct },
    { weight: 3, make: () => repriceProduct(shop) },
    { weight: 2, make: () => restockProduct(shop) },
    { weight: 15, make: () => placeOrder(shop, now) },
    { weight: 48, make: () => advanceOrder(shop) ?? placeOrder(shop, now) },
    { weight: 2, make: () => cancelOrder(shop) },
    { weight: manyOrders ? 40 : 1, make: () => removeOrder(shop) },
    { weight: manyCustomers ? 4 : 0.5, make: () => removeIdle('removeCustomer', shop.customers, ({ hasOrders }) => !hasOrders) },
    { weight: 0.5, make: () => removeIdle('removeProduct', shop.products, ({ hasSales }) => !hasSales) },
  ];
}

function aPlace(): Place {
  return {
    address: faker.location.streetAddress(),
    city: faker.location.city(),
    state: faker.location.state({ abbreviated: true }),
    zipCode: faker.location.zipCode('#####'),
  };
}

const aPhone = (): string => faker.phone.number({ style: 'national' });

export function addCustomer(): Extract<Action, { kind: 'addCustomer' }> {
  const firstName = faker.person.firstName();
  const lastName = faker.person.lastName();
  const mailbox = `${firstName}.${lastName}.${faker.string.alphanumeric(8)}`.toLowerCase().replaceAll(/[^a-z0-9.]/g, '');
  return { kind: 'addCustomer', firstName, lastName, email: `${mailbox}@example.com`, phone: aPhone(), ...aPlace() };
}

/** 2.99 to 299.99, small prices as likely as large ones are rare: an order above a thousand is the exception. */
const aPriceCents = (): number => Math.round(299 * (29_999 / 299) ** faker.number.float({ min: 0, max: 1 }));

export function addProduct(): Action {
  return {
    kind: 'addProduct',
    name: faker.commerce.productName(),
    description: faker.commerce.productDescription(),
    priceCents: aPriceCents(),
    category: faker.helpers.arrayElement(categories),
    stock: faker.number.int({ min: 50, max: 500 }),
  };
}

function editCustomer(shop: Shop, edit: (id: number) => Action): Action {
  return shop.customers.length === 0 ? addCustomer() : edit(faker.helpers.arrayElement(shop.customers).id);
}

function repriceProduct(shop: Shop): Action {
  if (shop.products.length === 0) return addProduct();
  const product = faker.helpers.arrayElement(shop.products);
  product.priceCents = Math.max(99, Math.round((product.priceCents * faker.number.int({ min: 85, max: 117 })) / 100));
  return { kind: 'repriceProduct', id: product.id, priceCents: product.priceCents };
}

const stockEnough = 150;

/** The emptiest shelf of a few is filled, unless all of them are full enough. */
function restockProduct(shop: Shop): Action {
  const [product] = faker.helpers.arrayElements(shop.products, 5).sort((a, b) => a.stock - b.stock);
  if (!product) return addProduct();
  if (product.stock >= stockEnough) return repriceProduct(shop);
  const quantity = faker.number.int({ min: 40, max: 200 });
  product.stock += quantity;
  return { kind: 'restockProduct', id: product.id, quantity };
}

function placeOrder(shop: Shop, now: Date): Action {
  const onSale = shop.products.filter(({ stock }) => stock > 0);
  if (onSale.length === 0) return restockProduct(shop);
  if (shop.customers.length === 0) return addCustomer();
  const customer = faker.helpers.arrayElement(shop.customers);
  customer.hasOrders = true;
  const lines = faker.helpers.arrayElements(onSale, { min: 1, max: 3 }).map((product) => {
    const quantity = faker.number.int({ min: 1, max: Math.min(2, product.stock) });
    product.stock -= quantity;
    product.hasSales = true;
    return { productId: product.id, quantity, unitPriceCents: product.priceCents };
  });
  const totalCents = lines.reduce((sum, line) => sum + line.quantity * line.unitPriceCents, 0);
  const shippingAddress = faker.location.streetAddress();
  return { kind: 'placeOrder', customerId: customer.id, orderDate: now.toISOString(), shippingAddress, totalCents, lines };
}

function advanceOrder(shop: Shop): Action | undefined {
  const order = shop.openOrders.shift(); // the oldest first; at most one step per batch
  return order && { kind: 'setOrderStatus', id: order.id, status: nextStatus[order.status] };
}

function cancelOrder(shop: Shop): Action | undefined {
  const at = shop.openOrders.findIndex(({ status }) => status !== 'shipped');
  if (at < 0) return undefined;
  const [order] = shop.openOrders.splice(at, 1);
  return order && { kind: 'setOrderStatus', id: order.id, status: 'cancelled' };
}

function removeOrder(shop: Shop): Action | undefined {
  const id = shop.closedOrders.shift();
  return id === undefined ? undefined : { kind: 'removeOrder', id };
}

/** Only what no order refers to; taken out of the shop, so that no later action of the batch uses it. */
function removeIdle<T extends { id: number }>(kind: 'removeCustomer' | 'removeProduct', rows: T[], isIdle: (row: T) => boolean): Action | undefined {
  const idle = rows.filter(isIdle);
  if (idle.length === 0 || rows.length < 5) return undefined;
  const row = faker.helpers.arrayElement(idle);
  rows.splice(rows.indexOf(row), 1);
  return { kind, id: row.id };
}
