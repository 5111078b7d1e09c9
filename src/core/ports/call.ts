/** Every asynchronous call takes one. An aborted call ends its work, then rejects with the signal's reason. */
export interface Call {
  /** Aborts the call. Not given: nothing does. */
  readonly signal?: AbortSignal | undefined;
}

/** A call that changes the store. `lease` protects the things it makes from garbage collection. */
export interface WriteCall extends Call {
  /** The id of a lease of the same store. */
  readonly lease?: string | undefined;
}
