/** What every asynchronous call takes. Nothing may outlive an aborted signal: an aborted call rejects with its reason. */
export interface Call {
  readonly signal?: AbortSignal | undefined;
}

/** A call that changes the store. With `lease`, what it makes is protected from garbage collection by that lease. */
export interface WriteCall extends Call {
  readonly lease?: string | undefined;
}
