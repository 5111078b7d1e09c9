/**
 * Run by test/unit/platform/process/descriptors.test.ts with a low limit of open files. For each number of descriptors that are free,
 * from none on, prints how each way to run a program ends: `WAY FREE KIND`.
 */
import { closeSync, openSync } from 'node:fs';
import { kindOf, messageOf } from '../../src/core/errors.ts';
import { errnoOfText } from '../../src/platform/kernel/errno.ts';
import { runTool, runToolAsync } from '../../src/platform/kernel/tools-run.ts';
import { createPrograms } from '../../src/platform/process/programs.ts';

const MOST_FREE = 20;
const how = { input: '', timeLimit: 5000, outputLimit: 100 };
const programs = createPrograms();

const WAYS: Readonly<Record<string, () => unknown>> = {
  program: () => programs.run('/bin/true', [], how),
  apart: () => programs.run('/bin/true', [], { ...how, apart: {} }),
  tool: () => runToolAsync('true', [], 'trying', errnoOfText),
  'tool at once': () => runTool('true', [], 'trying'),
};

async function endOf(way: () => unknown): Promise<string> {
  try {
    await way();
    return 'well';
  } catch (err) {
    return `${kindOf(err)}`;
  }
}

/** All that are left. */
function takeAll(): number[] {
  const taken: number[] = [];
  try {
    for (;;) taken.push(openSync('/dev/null', 'r'));
  } catch (err) {
    if (!/EMFILE|too many/i.test(`${messageOf(err)} ${(err as { code?: unknown }).code}`)) throw err;
    return taken;
  }
}

// What is loaded at the first use needs descriptors.
for (const way of Object.values(WAYS)) if ((await endOf(way)) !== 'well') throw new Error('it fails anyway');
for (const [name, way] of Object.entries(WAYS)) {
  for (let free = 0; free <= MOST_FREE; free++) {
    const taken = takeAll();
    for (const fd of taken.splice(0, free)) closeSync(fd);
    const end = await endOf(way);
    for (const fd of taken) closeSync(fd);
    console.log(`${name}:${free}:${end}`);
  }
}
