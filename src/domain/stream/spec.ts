/** Raised whenever a contribution to a window comes to mean something else. */
export const streamSpec = 'stream-2';
