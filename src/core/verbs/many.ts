/** Many images by one verb: side by side under common limits, each blob and each layer once. */
import { linkAbort } from '../async/abort.ts';
import { Limiter } from '../async/limiter.ts';
import { Turns } from '../async/turns.ts';
import { Link } from '../download/link.ts';
import { HawserError, hintOf, kindOf, messageOf } from '../errors.ts';
import type { Report } from '../progress/events.ts';
import type { FetchOptions, FetchResult, TransferDeps } from './options.ts';
import { DEFAULT_CONCURRENCY } from './walk.ts';

/** One image of many. */
export interface Wanted {
  /** The image record's name. */
  readonly name: string;
  /** What this image has of its own, beside what all have. */
  readonly options: Pick<FetchOptions, 'reference' | 'platforms'>;
}

/** How one image of many ended. */
export interface Ended<R> {
  readonly name: string;
  readonly result?: R | undefined;
  /** Why there is no result. */
  readonly error?: unknown;
}

export interface ManyOptions {
  /** What all images have in common. */
  readonly common: Omit<FetchOptions, 'reference'>;
  /** Layers applied at once; 0 or not given: one a processor. */
  readonly jobs?: number | undefined;
  /** The first failure ends the others. */
  readonly failFast?: boolean | undefined;
}

/** One image of a list, by the verb. */
export type OneOfMany<R> = (deps: TransferDeps, options: FetchOptions) => Promise<R>;

/** Images in work at once. The limit of downloads is one for all; so many keep the network busy while one is resolved or recorded. */
const AT_ONCE = 3;

/**
 * Runs the verb for each image, and returns how each ended, in their order: a failure of one does not stop the others, unless it is to.
 * Each image has a lease of its own, as if it were alone: what succeeded is held by its record, what failed for a day. Events carry the
 * image's name. Throws the signal's reason only.
 */
export async function transferMany<R extends FetchResult>(
  deps: TransferDeps,
  wanted: readonly Wanted[],
  options: ManyOptions,
  one: OneOfMany<R>,
): Promise<Ended<R>[]> {
  const { common, failFast } = options;
  const { report = () => {}, signal: parent } = common;
  const stop = new AbortController();
  const unlink = linkAbort(parent, stop);
  const shared = { ...deps, together: together(deps, options) };
  const images = new Limiter(AT_ONCE);
  report({ type: 'images', count: wanted.length });
  const each = async ({ name, options: own }: Wanted): Promise<Ended<R>> => {
    const tell: Report = (event) => report({ ...event, image: name });
    try {
      const result = await images.run(stop.signal, () =>
        one(shared, { ...common, ...own, report: tell, signal: stop.signal }),
      );
      return { name, result };
    } catch (err) {
      // Those that are stopped because of another one have not failed by themselves.
      const error = stop.signal.aborted ? stop.signal.reason : err;
      tell({ type: 'failed', kind: kindOf(error), message: messageOf(error), hint: hintOf(error) });
      if (failFast) stop.abort(stopped(name));
      return { name, error };
    }
  };
  const ended = await Promise.all(wanted.map(each));
  unlink();
  parent?.throwIfAborted();
  return ended;
}

function stopped(name: string): HawserError {
  return new HawserError('Canceled', `Stopped, as ${name} has failed`, {
    hint: 'Without --fail-fast the others go on',
  });
}

function together({ clock, cpus }: TransferDeps, { common, jobs }: ManyOptions) {
  return {
    link: new Link(clock, common.split),
    downloads: new Limiter(common.maxConcurrentDownloads || DEFAULT_CONCURRENCY),
    applying: new Limiter(jobs || cpus),
    blobs: new Turns(),
    layers: new Turns(),
  };
}
