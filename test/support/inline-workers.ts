/** Workers that do their jobs on this thread, over the ports they are given: every system call of a job can be watched. */
import { applyLayer } from '../../src/core/layers/apply-layer.ts';
import { checkLayers } from '../../src/core/layers/check-layers.ts';
import { rebaseLayer } from '../../src/core/layers/rebase-layer.ts';
import type { Workers } from '../../src/core/layers/workers.ts';
import type { Runtime } from '../../src/core/runtime.ts';
import { withRoot } from '../../src/core/trees/dir-stack.ts';
import { removeTree } from '../../src/core/trees/remove-tree.ts';
import { copyTree } from '../../src/core/trees/tree-copy.ts';
import { treeUsage } from '../../src/core/trees/tree-usage.ts';
import { copyTreeByTool } from '../../src/platform/kernel/tools-copy.ts';
import { openBlob } from '../../src/platform/threads/blob-reader.ts';

export function inlineWorkers(ports: Pick<Runtime, 'syscalls' | 'hashers' | 'codecs' | 'clock'>): Workers {
  const { hashers, codecs, clock } = ports;
  const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
  return {
    warm: () => {},
    apply: async (job, call) => {
      const deps = { syscalls: await ports.syscalls(), hashers, codecs, clock, openBlob, turn };
      return await applyLayer(job, deps, call);
    },
    rebase: async (job, call) => rebaseLayer(await ports.syscalls(), job, call) ?? null,
    check: async (job, call) => {
      const deps = { syscalls: await ports.syscalls(), hashers, codecs, clock, openBlob, turn };
      return await checkLayers(job, { ...deps, onProgress: call?.onProgress }, call);
    },
    copyTree: async ({ from, to }, call) => {
      const syscalls = await ports.syscalls();
      if (syscalls.provider === 'tools') await copyTreeByTool(from, to, call);
      else copyTree(syscalls, from, to, call);
    },
    usage: async (path, call) => treeUsage(await ports.syscalls(), path, call),
    removeTree: async (path, call) => removeTree(await ports.syscalls(), path, call),
    syncfs: async (dirs) => {
      const syscalls = await ports.syscalls();
      for (const dir of dirs) {
        if (typeof dir !== 'string' && syscalls.provider === 'ffi') syscalls.syncfs(dir);
        else
          withRoot(syscalls, typeof dir === 'string' ? dir : dir.path, (opened) => syscalls.syncfs(opened));
      }
    },
    [Symbol.asyncDispose]: async () => {},
  };
}
