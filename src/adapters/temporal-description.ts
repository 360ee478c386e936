/** What a Temporal server says about itself and a namespace. Asks only, and needs no rights on workflows. */
import { Connection, isGrpcServiceError } from '@temporalio/client';
import { PipelineError } from '../domain/errors.ts';
import { connectionOptions, type TemporalOptions } from './temporal.ts';

export interface TemporalDescription {
  version: string;
  /** How long the namespace keeps what is over; null when there is no such namespace. */
  retentionMs: number | null;
  /** Name → type; null when this server does not tell. */
  searchAttributes: Record<string, string> | null;
}

/** By the numbers of the protocol. */
const attributeTypes = ['Unspecified', 'Text', 'Keyword', 'Int', 'Double', 'Bool', 'Datetime', 'KeywordList'];
const [notFound, permissionDenied, unimplemented] = [5, 7, 12];

/** Throws `temporal_unavailable` when it does not answer, or does not let us in. */
export async function describeTemporal(options: TemporalOptions): Promise<TemporalDescription> {
  try {
    const connection = await Connection.connect({ ...connectionOptions(options), connectTimeout: '3 seconds' });
    try {
      return await describe(connection, options.namespace);
    } finally {
      await connection.close();
    }
  } catch (error) {
    throw new PipelineError('temporal_unavailable', error instanceof Error ? error.message : String(error), { cause: error });
  }
}

async function describe({ workflowService, operatorService }: Connection, namespace: string): Promise<TemporalDescription> {
  const [{ serverVersion }, kept, attributes] = await Promise.all([
    workflowService.getSystemInfo({}),
    workflowService.describeNamespace({ namespace }).catch(unless(notFound)),
    operatorService.listSearchAttributes({ namespace }).catch(unless(notFound, permissionDenied, unimplemented)),
  ]);
  return {
    version: serverVersion ?? '',
    retentionMs: kept ? Number(kept.config?.workflowExecutionRetentionTtl?.seconds ?? 0) * 1000 : null,
    searchAttributes: attributes && Object.fromEntries(Object.entries(attributes.customAttributes ?? {}).map(([name, type]) => [name, attributeTypes[Number(type)] ?? 'unknown'])),
  };
}

/** Null instead of these refusals. */
const unless = (...codes: number[]) => (error: unknown): null => {
  if (isGrpcServiceError(error) && codes.includes(Number(error.code))) return null;
  throw error;
};
