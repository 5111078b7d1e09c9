/**
 * As conformance/failing-calls.test.ts, for the executable: strace makes one system call of it fail. HAWSER_FAULTS as there (all
 * of it takes hours; a scenario a quarter of one).
 */
import assert from 'node:assert/strict';
import process from 'node:process';
import { after, before, describe, test } from 'node:test';
import { checkPoint, pointsIn, rightSnapshots } from '../support/fault-check.ts';
import { SCENARIOS } from '../support/fault-scenarios.ts';
import { FaultWorld } from '../support/fault-world.ts';
import { flavour } from '../support/hawser.ts';
import { needs } from '../support/needs.ts';
import { type SyscallPoint, straceEngine } from '../support/strace-engine.ts';

const which = process.env.HAWSER_FAULTS ?? '';
const binary = flavour('binary');
const skip = binary.skip || needs({ root: true, tools: ['strace', 'mount', 'cp'] });

describe('a system call that fails', { skip }, () => {
  let world: FaultWorld<SyscallPoint>;
  let known: ReadonlyMap<string, string>;
  let points = 0;

  before(async () => {
    world = await FaultWorld.open(straceEngine(binary));
    known = await rightSnapshots(world);
  });
  after(async () => {
    console.log(`${points} failing system calls`);
    await world[Symbol.asyncDispose]();
  });

  for (const scenario of SCENARIOS) {
    test(`${scenario.name}: fails or is done, keeps what was there, and the next one completes`, async () => {
      const all = which === 'all' || (which !== '' && scenario.name.includes(which));
      const found: string[] = [];
      for (const point of await pointsIn(world, scenario, !all)) {
        points++;
        found.push(...(await checkPoint(world, scenario, point, known)));
      }
      assert.deepEqual(found, []);
    });
  }
});
