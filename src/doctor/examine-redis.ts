/** Redis: what INFO says, and which commands on which keys the consumers' user may send. */
import { access } from '../access.ts';
import type { RedisOptions } from '../adapters/redis-connection.ts';
import { connectRedis } from '../adapters/redis.ts';
import type { Settings } from '../config.ts';
import { PipelineError } from '../domain/errors.ts';
import { accessProbe } from '../stack/redis.ts';
import { judge, ok, problem, type Finding, type Moment } from './check.ts';
import { redisChecks } from './redis-checks.ts';

/** Before a start the consumers' user may not be there yet. */
export async function examineRedis(settings: Settings, moment: Moment): Promise<Finding[]> {
  const options = moment === 'before' ? access.redisAdmin(settings) : access.replica(settings);
  const check = `login ${options.user}`;
  try {
    return [{ subject: 'redis', check, ...ok('logged in') }, ...(await examineAs(options, settings, moment))];
  } catch (error) {
    if (!(error instanceof PipelineError) || error.code !== 'redis_refused') throw error;
    const setting = moment === 'before' ? 'REDIS_PASSWORD' : 'SLUICE_REDIS_PASSWORD';
    return [{ subject: 'redis', check, ...problem(error.message, `Set ${setting} to the password of the user ${options.user}. A start makes the user of the consumers: npx sluice up`) }];
  }
}

async function examineAs(options: Omit<RedisOptions, 'name'>, settings: Settings, moment: Moment): Promise<Finding[]> {
  const redis = connectRedis({ ...options, name: 'sluice-doctor', failFast: true });
  try {
    const askedMs = Date.now();
    const info = await redis.info();
    const clockAheadMs = Number(info['server_time_usec']) / 1000 - (askedMs + Date.now()) / 2;
    const { commands, allow } = accessProbe(settings);
    const denied = moment === 'now' ? await redis.denied(commands) : [];
    return judge('redis', redisChecks, { info, denied, allow, clustered: settings.REDIS_CLUSTER === 'on', hasPrefix: settings.REDIS_KEY_PREFIX !== '', clockAheadMs }, moment);
  } finally {
    await redis.close();
  }
}
