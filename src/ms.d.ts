/** The `ms` package hides its types from its exports; without this the SDK's durations would silently become `any`. */
declare module 'ms' {
  export type StringValue = `${number}` | `${number} ${'millisecond' | 'second' | 'minute' | 'hour' | 'day'}${'' | 's'}` | `${number}${'ms' | 's' | 'm' | 'h' | 'd'}`;
}
