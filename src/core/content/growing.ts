/** A file that another thread is writing. */
export interface Growing {
  readonly path: string;
  /** How much of it is good (core/async/gauge.ts). */
  readonly gauge: SharedArrayBuffer;
}
