/** What each peer is: how it is run from an empty store of its own, so that all do the same work. */
import type { BenchRegistry } from '../server.ts';

/** `pull`: fetch and unpack. `fetch`: the content alone. `again`: a pull of what is there already. */
export type Kind = 'pull' | 'fetch' | 'again';

export interface Job {
  readonly kind: Kind;
  readonly image: string;
  readonly zstd: boolean;
  readonly registry: Pick<BenchRegistry, 'reference' | 'blobUrl' | 'layers'>;
  /** Where stores are made. */
  readonly base: string;
}

export interface Peer {
  readonly name: string;
  /** The programs that it is made of. */
  readonly tools: readonly string[];
  readonly versions: () => Readonly<Record<string, string>>;
  /** Why it takes no part in this. */
  readonly cannot: (kind: Kind, zstd: boolean) => string | undefined;
  /** Seconds. Making the empty store and removing it are not in them. */
  run(job: Job): Promise<number>;
}

/** Runs what a kind asks for: `again` does the work once before. */
export async function seconds(kind: Kind, run: () => Promise<number>): Promise<number> {
  if (kind === 'again') await run();
  return await run();
}
