/** One failing call: the command with it, and what the commands after it must do. */
import type { Scenario } from './fault-scenarios.ts';
import type { FaultWorld, Place, Ran } from './fault-world.ts';
import { unmountBelow } from './scratch.ts';
import { readStore } from './store-reader.ts';

/** What an error may not say: that it is a bug of ours, or, to root, to become root. */
const FALSE_HINT = /looks like a bug|run as root|run as the user who owns/i;

/** What a failed command may leave: its lease, which ends by itself within a day, when the next command took over what it held. */
const PASSES = 'empty lease ';

/** The exit code of a command that a signal ended. */
export const KILLED = 137;

/** The right lines of each committed snapshot of the two images. */
export async function rightSnapshots<P>(world: FaultWorld<P>): Promise<ReadonlyMap<string, string>> {
  return await world.inPlace(true, async (place) => {
    await place.ok('pull', world.refs.b);
    await place.ok('pull', '--snapshotter', 'native', world.refs.a);
    return readStore(place.root, new Map()).snapshots;
  });
}

/** The calls of an undisturbed run of the scenario that can fail; with `few`, a selection. */
export async function pointsIn<P>(world: FaultWorld<P>, scenario: Scenario, few: boolean): Promise<P[]> {
  return await world.inPlace(scenario.store, async (place) => {
    await scenario.prepare?.(place, world);
    const command = scenario.command(place, world);
    const points = await world.engine.points(place.dir, place.root, command, few);
    const wrong = await scenario.done(place, world, readStore(place.root, new Map()));
    if (wrong.length > 0) throw new Error(`undisturbed: ${wrong.join('; ')}`);
    return points;
  });
}

export interface Checked {
  /** What was wrong; nothing when all held. */
  readonly wrong: readonly string[];
  /** Whether the command came to the call, which then failed. */
  readonly hit: boolean;
}

export async function checkPoint<P>(
  world: FaultWorld<P>,
  scenario: Scenario,
  point: P,
  known: ReadonlyMap<string, string>,
): Promise<Checked> {
  const { wrong, hit } = await world.inPlace(scenario.store, (place) =>
    checkIn(place, world, scenario, point, known),
  );
  return { wrong: wrong.map((one) => `${world.engine.show(point)}: ${one}`), hit };
}

async function checkIn<P>(
  place: Place<P>,
  world: FaultWorld<P>,
  scenario: Scenario,
  point: P,
  known: ReadonlyMap<string, string>,
): Promise<Checked> {
  await scenario.prepare?.(place, world);
  const command = scenario.command(place, world);
  const first = await place.run(command, point);
  const wrong = first.first.length === 0 ? [] : falseWords(first);
  if (first.code === 0) wrong.push(...(await succeeded(world, scenario, place)));
  else wrong.push(...stillWhole(world, scenario, place, known, first));
  if (scenario.mounts) await unmountBelow(place.dir);
  if (first.code !== 0) {
    const checked = await place.run(['images', 'check']);
    if (checked.code !== 0 && scenario.store) wrong.push(`images check: ${checked.err.trim()}`);
    const again = await place.run(command);
    const missing = await succeeded(world, scenario, place).catch((err: Error) => [err.message]);
    // A kill at the very end leaves nothing for the command to do again, nor does a disk that from there on takes no change, not even
    // the undoing: some commands say so.
    const maySayDone = missing.length === 0 && (first.code === KILLED || first.first.length > 1);
    const isRefused = again.code !== 0 && !maySayDone;
    if (isRefused) wrong.push(`again: ${again.err.trim()} (after: ${first.err.trim()})`);
    else wrong.push(...missing);
  }
  // A later run that writes may still clean up.
  for (const later of [scenario.later?.(place, world) ?? [], ['images', 'rm', 'absent']]) {
    if (later.length > 0) await place.run(later);
  }
  world.engine.dropLost(place.dir);
  const { lies, leftovers } = readStore(place.root, known);
  wrong.push(
    ...lies.map((lie) => `at the end: ${lie}`),
    ...[...leftovers, ...(scenario.left?.(place) ?? [])]
      .filter((one) => first.code === 0 || !one.startsWith(PASSES))
      .map((one) => `left: ${one}`),
  );
  return { wrong, hit: first.first.length > 0 };
}

async function succeeded<P>(world: FaultWorld<P>, scenario: Scenario, place: Place<P>): Promise<string[]> {
  const wrong = await scenario.done(place, world, readStore(place.root, new Map()));
  return wrong.map((one) => `false success: ${one}`);
}

/** Old data, and every row of the store. */
function stillWhole<P>(
  world: FaultWorld<P>,
  scenario: Scenario,
  place: Place<P>,
  known: ReadonlyMap<string, string>,
  failure: Ran,
): string[] {
  const facts = readStore(place.root, known);
  const wrong = [...facts.lies, ...(scenario.old?.(place, world, failure) ?? [])];
  if (scenario.store && !scenario.removesA && !facts.images.includes(world.refs.a)) wrong.push('A is lost');
  return wrong.map((one) => `after the failure: ${one}`);
}

/** Hints that are not true, and an error that is not the first one. */
function falseWords({ code, err, first }: Ran): string[] {
  if (code === 0) return [];
  const wrong = FALSE_HINT.test(err) ? [`a false hint: ${err.trim()}`] : [];
  const told = first.some((message) => err.includes(message));
  return told ? wrong : [...wrong, `not the first error (${first.join('; ')}): ${err.trim()}`];
}
