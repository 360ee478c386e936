/**
 * Whether Redis is there. A lost connection says so by itself; a frozen server keeps its connections and says nothing,
 * which only a question shows. Standing still while it is away is right, and must not be taken for a consumer that hangs.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { RedisStore } from '../adapters/redis.ts';
import type { Logger } from '../telemetry/logger.ts';

const askEveryMs = 1000;
const answerMs = 3000;

export class RedisPresence {
  /** Tells `back` whenever the connection was lost and is there again: Redis may have forgotten what it had acknowledged. */
  readonly events = new EventTarget();
  readonly #log: Logger;
  #connected: boolean | undefined;
  #silent = false;

  constructor(log: Logger) {
    this.#log = log;
  }

  get away(): boolean {
    return this.#connected !== true || this.#silent;
  }

  /** For the store's `onConnection`. */
  readonly connection = (state: 'up' | 'down'): void => {
    const isUp = state === 'up';
    if (this.#connected !== isUp) this.#log.info({ redis: state }, isUp ? 'Redis is there' : 'waiting for Redis');
    if (isUp && this.#connected === false) this.events.dispatchEvent(new Event('back'));
    this.#connected = isUp;
  };

  /** Asks until `signal`, one question at a time. */
  async watch(redis: Pick<RedisStore, 'ping'>, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const late = setTimeout(() => this.#tell(true), answerMs);
      await redis.ping().catch(() => undefined); // a lost connection tells of itself
      clearTimeout(late);
      this.#tell(false);
      await delay(askEveryMs, undefined, { signal }).catch(() => undefined);
    }
  }

  #tell(silent: boolean): void {
    if (this.#silent !== silent && this.#connected === true) this.#log.info({ redis: silent ? 'silent' : 'up' }, silent ? 'waiting for Redis' : 'Redis is there');
    this.#silent = silent;
  }
}
