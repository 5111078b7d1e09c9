/**
 * Every call of a command fails once, with every error that it can have: the command fails or does all of its work, nothing old
 * is lost, the next command tells the truth, and the same command again completes and leaves nothing behind.
 *
 * HAWSER_FAULTS=all runs every point (some ten minutes); HAWSER_FAULTS=pull runs every point of the scenarios with `pull` in their
 * name. Otherwise one call of each kind with one of its errors.
 */
import assert from 'node:assert/strict';
import process from 'node:process';
import { after, before, describe, test } from 'node:test';
import { checkPoint, countCalls, pointsOf } from '../support/fault-check.ts';
import { SCENARIOS } from '../support/fault-scenarios.ts';
import { FaultWorld, readStore } from '../support/fault-world.ts';
import { hasFfi } from '../support/ffi.ts';
import { needs } from '../support/needs.ts';

const which = process.env.HAWSER_FAULTS ?? '';

/** Faults that are not mended yet, by their row in the list of issue 13. */
const KNOWN: readonly RegExp[] = [
  /false hint: .*(disk I\/O error|unable to open database file|readonly database)/s, // T14
  /again: hawser: unmounting .*: not a mount point/, // T4
  /again: hawser: Cannot unpack to .*: it is not empty/, // T15: an error after the directory is there
  /mounter\.mount 1: false success/, // T2
  /(fs\.sync|syncfs) \d+: at the end/, // T5, T6
  /left: lease/, // L1: a later success does not retire the lease of a failed pull
];

describe('a call that fails', { skip: needs({ root: true, tools: ['mount', 'cp'] }) }, () => {
  let world: FaultWorld;
  const known = new Map<string, string>();
  let points = 0;

  before(async () => {
    world = await FaultWorld.open();
    await world.inPlace(true, async (place) => {
      await place.ok('pull', world.refs.b);
      await place.ok('pull', '--snapshotter', 'native', world.refs.a);
      for (const [name, lines] of readStore(place.root, known).snapshots) known.set(name, lines);
    });
  });
  after(async () => {
    console.log(`${points} failing calls`);
    await world[Symbol.asyncDispose]();
  });

  for (const scenario of SCENARIOS) {
    test(`${scenario.name}: fails or is done, keeps what was there, and the next one completes`, async () => {
      const all = which === 'all' || (which !== '' && scenario.name.includes(which));
      const found: string[] = [];
      const counts = new Map(await countCalls(world, scenario));
      // Each system call is a program without FFI: one scenario stands for all.
      if (!all && !hasFfi() && scenario !== SCENARIOS[0]) {
        for (const kind of [...counts.keys()]) if (kind.startsWith('sys.')) counts.delete(kind);
      }
      for (const point of pointsOf(counts, !all)) {
        points++;
        const wrong = await checkPoint(world, scenario, point, known);
        const said = wrong.map((one) => `${point.errno} at ${point.kind} ${point.nth}: ${one}`);
        found.push(...said.filter((one) => !KNOWN.some((known) => known.test(one))));
      }
      assert.deepEqual(found, []);
    });
  }
});
