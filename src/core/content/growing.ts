/** A file that another thread is writing. */
export interface Growing {
  readonly path: string;
  /** How many of its bytes are good (core/async/gauge.ts). */
  readonly gauge: SharedArrayBuffer;
}
