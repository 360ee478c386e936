/**
 * The life of one of our processes: settings → run → ready → drain → exit.
 * Ends by SIGTERM, SIGINT, or when the supervisor that started it is gone; a drain that takes too long is cut off.
 */
import { rmSync, writeFileSync } from 'node:fs';
import { ConfigError, loadSettings, type Settings } from '../config.ts';
import { PipelineError } from '../domain/errors.ts';
import { createLogger, type Logger } from '../telemetry/logger.ts';

export interface ProcessContext {
  settings: Settings;
  log: Logger;
  /** Aborted when the process must drain. */
  signal: AbortSignal;
  /** Tells the supervisor, or the health check of its container, that this process does its work. */
  ready: () => void;
}

const drainMs = 4000;

/** Runs `body` until it returns. Exit code 0 after a drain, 1 on failure, 2 on bad configuration. */
export async function runProcess(name: string, body: (context: ProcessContext) => Promise<void>): Promise<void> {
  let log = createLogger(name, 'info');
  const stop = new AbortController();
  try {
    const settings = loadSettings();
    log = createLogger(name, settings.SLUICE_LOG_LEVEL);
    const drain = (reason: string): void => {
      if (stop.signal.aborted) return;
      log.info({ reason }, 'draining');
      setTimeout(() => process.exit(0), drainMs).unref();
      stop.abort();
    };
    process.on('SIGTERM', () => drain('SIGTERM'));
    process.on('SIGINT', () => drain('SIGINT'));
    process.on('disconnect', () => drain('supervisor gone'));
    const { SLUICE_READY_FILE: readyFile } = settings;
    if (readyFile) rmSync(readyFile, { force: true });
    const ready = (): void => {
      process.send?.('ready');
      if (readyFile) writeFileSync(readyFile, '');
    };
    await body({ settings, log, signal: stop.signal, ready });
    process.exit(0);
  } catch (error) {
    if (stop.signal.aborted) process.exit(0); // the drain cut a wait short
    const known = error instanceof PipelineError || error instanceof ConfigError;
    log.fatal(known ? { code: error.name } : { err: error }, known ? error.message : 'unexpected failure');
    process.exit(error instanceof ConfigError ? 2 : 1);
  }
}
