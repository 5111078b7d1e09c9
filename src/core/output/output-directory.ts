/** Making a directory for the user, outside the store: it is there and whole, or not there. */
import { cleanupSignal } from '../async/abort.ts';
import { cleanedUp } from '../async/cleanup.ts';
import { messageOf } from '../errors.ts';
import { WriteOut } from '../layers/write-out.ts';
import type { Call } from '../ports/call.ts';
import type { Clock } from '../ports/clock.ts';
import { findPlace, type Place, type PlaceOptions, type PlaceRuntime, stagingParent } from './place.ts';
import { publish } from './publish.ts';
import { removeLeftovers, Staging } from './staging.ts';

export type OutputRuntime = PlaceRuntime & { readonly clock: Clock };

export interface OutputOptions extends PlaceOptions {
  readonly warn: (message: string) => void;
}

/**
 * Makes the directory `target` (absolute) of what `build` makes at the path that `build` is given: an absent path on the same
 * file system, which nobody else sees. The data is durable before it is put into place; a directory with content, which
 * `force` replaces, is removed last. Fails as `findPlace` does; whatever fails, what was there before is there again.
 * Returns the normalised path.
 */
export async function makeOutput(
  runtime: OutputRuntime,
  target: string,
  options: OutputOptions,
  build: (path: string) => Promise<void>,
): Promise<string> {
  const place = await findPlace(runtime, target, options);
  const staging = await Staging.create(runtime, stagingParent(place), place.name, options);
  let settle: () => Promise<void>;
  try {
    await buildDurably(runtime, staging, build, options);
    options.signal?.throwIfAborted();
    settle = await publish(runtime, staging, place, options.warn);
  } catch (err) {
    throw await cleanedUp(err, () => staging.remove({ signal: cleanupSignal() }));
  }
  await cleanUp(runtime, staging, place, options, settle);
  return place.dir;
}

/**
 * The kernel reports a failed write-back once to each open descriptor, and a later sync succeeds over lost files: so all syncs are
 * by one descriptor, and whichever fails, fails all of this.
 */
async function buildDurably(
  runtime: OutputRuntime,
  staging: Staging,
  build: (path: string) => Promise<void>,
  { signal }: Call,
): Promise<void> {
  const writeOut = new WriteOut(runtime);
  try {
    await writeOut.during(staging.toSync, () => build(staging.madePath));
  } catch (err) {
    await writeOut.settled().catch(() => {});
    throw err;
  }
  await writeOut.settled();
  await runtime.workers.syncfs([staging.toSync], { signal });
}

/** The directory is there: nothing that fails now makes a failure of that. */
async function cleanUp(
  runtime: PlaceRuntime,
  staging: Staging,
  place: Place,
  options: OutputOptions,
  settle: () => Promise<void>,
): Promise<void> {
  const { dir, name, way } = place;
  const left = way === 'replace' ? `what ${dir} was before, which is in ${staging.path}` : staging.path;
  await orWarn(options, `remove ${left}`, async () => {
    if (way === 'replace') await staging.giveUpOld(options);
    await staging.remove(options);
  });
  await orWarn(options, `give ${dir} the attributes of the image's root`, settle);
  const parent = stagingParent(place);
  await orWarn(options, `remove what an earlier run left in ${parent}`, async () => {
    for (const path of await removeLeftovers(runtime, parent, name, options)) {
      const why = `a run was stopped there while it replaced ${dir}`;
      options.warn(`${path} stays: ${why}. It may hold what ${dir} was before; look, then remove it`);
    }
  });
}

async function orWarn(
  { warn }: Pick<OutputOptions, 'warn'>,
  what: string,
  work: () => Promise<void>,
): Promise<void> {
  try {
    await work();
  } catch (err) {
    warn(`Cannot ${what}: ${messageOf(err)}`);
  }
}
