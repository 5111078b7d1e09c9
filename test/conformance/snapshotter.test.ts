import { after } from 'node:test';
import { openLocalBackend } from '../../src/backends/local/open.ts';
import type { Runtime } from '../../src/core/runtime.ts';
import { defaultRuntime } from '../../src/entry/library.ts';
import { diffSuite } from '../suites/diff.ts';
import { type SnapshotterUnderTest, snapshotterSuite } from '../suites/snapshotter.ts';
import { needs } from '../support/needs.ts';
import { scratch } from '../support/scratch.ts';

let shared: Promise<Runtime> | undefined;

function runtime(): Promise<Runtime> {
  shared ??= defaultRuntime();
  return shared;
}

after(async () => {
  if (shared !== undefined) await (await shared).workers[Symbol.asyncDispose]();
});

for (const name of ['overlayfs', 'native']) {
  const make = async (): Promise<SnapshotterUnderTest> => {
    const host = await runtime();
    const dir = scratch();
    const backend = await openLocalBackend(host, { root: `${dir.path}/store`, namespace: 'testsuite' });
    return {
      backend,
      snapshotter: backend.snapshotter(name),
      mounter: await host.mounter(),
      scratch: dir.path,
      done: async () => {
        await backend[Symbol.asyncDispose]();
        await dir[Symbol.asyncDispose]();
      },
    };
  };
  snapshotterSuite(`local/${name}`, make, needs({ root: true }));
  diffSuite(`local/${name}`, make, needs({ root: true }));
}
