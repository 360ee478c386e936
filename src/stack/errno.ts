/** The operating system's code of a failure (`ENOENT`, `EADDRINUSE`, …), if it has one. */
export const errnoOf = (error: unknown): string | undefined =>
  error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined;
