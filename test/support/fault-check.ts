/** One failing call: the command with it, and what the commands after it must do. */
import { errnosOf, type Point } from './fault-points.ts';
import type { Scenario } from './fault-scenarios.ts';
import { type FaultWorld, type Place, type Ran, readStore } from './fault-world.ts';
import { unmountBelow } from './scratch.ts';

/** What an error may not say: that it is a bug of ours, or, to root, to become root. */
const FALSE_HINT = /looks like a bug|run as root|run as the user who owns/i;

/** The calls of an undisturbed run of the scenario, by kind; each kind is a call that can fail. */
export async function countCalls(
  world: FaultWorld,
  scenario: Scenario,
): Promise<ReadonlyMap<string, number>> {
  return await world.inPlace(scenario.store, async (place) => {
    await scenario.prepare?.(place, world);
    await world.must(await place.run(scenario.command(place, world)));
    const counts = new Map(world.faults.counts);
    const wrong = await scenario.done(place, world, readStore(place.root, new Map()));
    if (wrong.length > 0) throw new Error(`undisturbed: ${wrong.join('; ')}`);
    return counts;
  });
}

/**
 * Every point, or (`few`) one call of each kind: in turn the first, the one in the middle or the last, with one error of those
 * that it can have.
 */
export function pointsOf(counts: ReadonlyMap<string, number>, few: boolean): Point[] {
  const points: Point[] = [];
  for (const [turn, [kind, count]] of [...counts].sort(([a], [b]) => (a < b ? -1 : 1)).entries()) {
    const errnos = errnosOf(kind);
    const one = [1, (count + 1) >> 1, count][turn % 3] ?? 1;
    const nths = few ? [one] : Array.from({ length: count }, (_, n) => n + 1);
    const some = few ? [errnos[turn % errnos.length] ?? 'EIO'] : errnos;
    for (const nth of nths) for (const errno of some) points.push({ kind, nth, errno });
  }
  return points;
}

/** What was wrong; nothing when all held. */
export async function checkPoint(
  world: FaultWorld,
  scenario: Scenario,
  point: Point,
  known: ReadonlyMap<string, string>,
): Promise<string[]> {
  return await world.inPlace(scenario.store, (place) => checkIn(place, world, scenario, point, known));
}

async function checkIn(
  place: Place,
  world: FaultWorld,
  scenario: Scenario,
  point: Point,
  known: ReadonlyMap<string, string>,
): Promise<string[]> {
  await scenario.prepare?.(place, world);
  const command = scenario.command(place, world);
  const first = await place.run(command, point);
  const wrong = world.faults.failed ? falseHints(first) : [];
  if (first.code === 0) wrong.push(...(await succeeded(world, scenario, place)));
  else wrong.push(...stillWhole(world, scenario, place, known));
  if (scenario.mounts) await unmountBelow(place.dir);
  if (first.code === 0) return wrong;
  const checked = await place.run(['images', 'check']);
  if (checked.code !== 0 && scenario.store) wrong.push(`images check: ${checked.err.trim()}`);
  const again = await place.run(command);
  if (again.code !== 0) return [...wrong, `again: ${again.err.trim()}`];
  wrong.push(...(await succeeded(world, scenario, place)));
  // A later run that writes may still clean up.
  await place.run(['images', 'rm', 'absent']);
  world.lost.drop(place.dir);
  const { lies, leftovers } = readStore(place.root, known);
  return [...wrong, ...lies.map((lie) => `at the end: ${lie}`), ...leftovers.map((one) => `left: ${one}`)];
}

async function succeeded(world: FaultWorld, scenario: Scenario, place: Place): Promise<string[]> {
  const wrong = await scenario.done(place, world, readStore(place.root, new Map()));
  return wrong.map((one) => `false success: ${one}`);
}

/** Old data, and every row of the store. */
function stillWhole(
  world: FaultWorld,
  scenario: Scenario,
  place: Place,
  known: ReadonlyMap<string, string>,
): string[] {
  const facts = readStore(place.root, known);
  const wrong = [...facts.lies, ...(scenario.old?.(place, world) ?? [])];
  if (scenario.store && !scenario.removesA && !facts.images.includes(world.refs.a)) wrong.push('A is lost');
  return wrong.map((one) => `after the failure: ${one}`);
}

function falseHints(ran: Ran): string[] {
  if (ran.code === 0) return [];
  return FALSE_HINT.test(ran.err) ? [`a false hint: ${ran.err.trim()}`] : [];
}
