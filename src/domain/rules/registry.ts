/** All rules of the stream: a new one is a file and a line here. `docs/rules.md` is printed from this list. */
import { bulkOrders } from './bulk-orders.ts';
import { geographicAnomaly } from './geographic-anomaly.ts';
import { highValueOrder } from './high-value-order.ts';
import { lowStock } from './low-stock.ts';
import { orderRate } from './order-rate.ts';
import { rapidStockDepletion } from './rapid-stock-depletion.ts';

export const rules = { highValueOrder, bulkOrders, rapidStockDepletion, lowStock, geographicAnomaly, orderRate } as const;
