/**
 * Tells people: a signed CloudEvent to a webhook, a message to Slack or what takes the same. One call is one attempt.
 * Invariant: neither an address nor a secret is in an error, whatever the other side answers; nothing is sent to another host than the given one.
 */
import { createHmac } from 'node:crypto';
import { cloudEvent, slackMessage, type Notice } from '../domain/alert-notice.ts';
import { PipelineError } from '../domain/errors.ts';
import type { Secret } from '../domain/secret.ts';

export interface ChannelOptions {
  url: Secret;
  /** An attempt without an answer is given up after this. */
  timeoutMs: number;
}

/** Resolves when the other side has taken it; rejects with `channel_unavailable` (try again) or `channel_refused`. */
export type SendNotice = (notice: Notice) => Promise<void>;

/** The receiver checks `X-Sluice-Signature`: sha256=<hex HMAC of the body's bytes>, and tells doubles by `Idempotency-Key`. */
export const createWebhook =
  ({ secret, ...options }: ChannelOptions & { secret: Secret }): SendNotice =>
  async (notice) => {
    const body = cloudEvent(notice);
    const signature = createHmac('sha256', secret.reveal()).update(body).digest('hex');
    await post(options, 'webhook', body, { 'content-type': 'application/cloudevents+json; charset=utf-8', 'x-sluice-signature': `sha256=${signature}`, 'idempotency-key': encodeURI(notice.id) });
  };

export const createSlack =
  (options: ChannelOptions): SendNotice =>
  (notice) =>
    post(options, 'slack', slackMessage(notice), { 'content-type': 'application/json; charset=utf-8', 'idempotency-key': encodeURI(notice.id) });

const hopsMost = 3;

async function post({ url, timeoutMs }: ChannelOptions, name: string, body: string, headers: Record<string, string>): Promise<void> {
  const signal = AbortSignal.timeout(timeoutMs);
  let target = new URL(url.reveal());
  for (let hop = 0; hop <= hopsMost; hop += 1) {
    const { status, location, retryAfter } = await send(target, { method: 'POST', redirect: 'manual', body, headers: { ...headers, 'user-agent': 'sluice' }, signal }, name, timeoutMs);
    if (status >= 200 && status < 300) return;
    if ((status !== 307 && status !== 308) || location === null) throw refusal(name, status, retryAfter);
    const next = URL.canParse(location, target.href) ? new URL(location, target.href) : null;
    if (next?.origin !== target.origin) throw new PipelineError('channel_refused', `${name} sends us to another host (HTTP ${status}): give its final address`);
    target = next;
  }
  throw new PipelineError('channel_refused', `${name} sends us from one address to the next more than ${hopsMost} times`);
}

async function send(target: URL, request: RequestInit, name: string, timeoutMs: number): Promise<{ status: number; location: string | null; retryAfter: string | null }> {
  try {
    const response = await fetch(target, request);
    await response.body?.cancel();
    return { status: response.status, location: response.headers.get('location'), retryAfter: response.headers.get('retry-after') };
  } catch (error) {
    const why = request.signal?.aborted ? `did not answer within ${timeoutMs} ms` : `could not be reached (${codeOf(error)})`;
    throw new PipelineError('channel_unavailable', `${name} ${why}`); // without its cause: that may name the address
  }
}

/** 408 and 429 ask for another try, 5xx may be better by then; anything else will not. */
function refusal(name: string, status: number, retryAfter: string | null): PipelineError {
  if (status !== 408 && status !== 429 && status < 500) return new PipelineError('channel_refused', `${name} refused it: HTTP ${status}`, { details: { status } });
  const seconds = /^\d{1,4}$/.test(retryAfter ?? '') ? Number(retryAfter) : null;
  return new PipelineError('channel_unavailable', `${name} did not take it: HTTP ${status}`, { details: { status, ...(seconds !== null && { retryAfterSeconds: seconds }) } });
}

/** The system's or the HTTP client's code word, such as ECONNREFUSED. */
function codeOf(error: unknown): string {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  return cause instanceof Error && 'code' in cause && typeof cause.code === 'string' ? cause.code : 'no connection';
}
