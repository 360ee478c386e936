/** How our failures reach Temporal: what time heals is tried again, everything else is final at once. */
import { ApplicationFailure } from '@temporalio/common';
import { PipelineError } from '../domain/errors.ts';

/** Each activity of `activities`, its PipelineErrors translated. */
export function translateFailures<A extends object>(activities: A): A {
  return Object.fromEntries(Object.entries(activities).map(([name, activity]) => [name, translated(activity as Activity)])) as A;
}

type Activity = (...args: unknown[]) => Promise<unknown>;

const translated =
  (activity: Activity): Activity =>
  async (...args) => {
    try {
      return await activity(...args);
    } catch (error) {
      if (!(error instanceof PipelineError)) throw error;
      throw ApplicationFailure.create({ message: error.message, type: error.code, nonRetryable: error.action !== 'retry' });
    }
  };
