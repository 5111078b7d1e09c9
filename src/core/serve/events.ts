/** What is told of a server's work. */
export type ServeEvent =
  | {
      /** A request has been answered; the body may still be on its way. */
      readonly type: 'request';
      readonly peer: string;
      readonly method: string;
      readonly target: string;
      readonly status: number;
      /** Bytes of the body. */
      readonly bytes: number;
    }
  /** Content of the store cannot be given, or the store cannot be read. */
  | { readonly type: 'failure'; readonly message: string };
