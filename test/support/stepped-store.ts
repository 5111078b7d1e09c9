/** A store whose every step can be watched: each call of its roles, and each call that these make of files and workers. */
import { type LocalBackend, openLocalBackend } from '../../src/backends/local/open.ts';
import type { Ingest } from '../../src/core/content/content-store.ts';
import type { FileHandle } from '../../src/core/ports/file-system.ts';
import type { Runtime } from '../../src/core/runtime.ts';
import { asStore } from '../../src/entry/stores.ts';
import type { Store } from '../../src/mod.ts';

/** Called before each call of files and workers, and after each of a role: between two of them lies one state of the records. */
type Step = () => Promise<void>;

/** Those of a role's methods that answer at once. */
const AT_ONCE: ReadonlySet<string | symbol> = new Set([
  ...['blobPath', 'growing', 'layerLabels', 'warm', 'snapshotter', 'constructor'],
]);

/** `target`, with `before` and `after` around each of its methods; `wrap` is given what they resolve to. */
function stepped<T extends object>(
  target: T,
  { before, after }: { readonly before?: Step; readonly after?: Step },
  wrap: (result: unknown, method: string) => unknown = (result) => result,
): T {
  return new Proxy(target, {
    get: (_, key) => {
      const value: unknown = Reflect.get(target, key);
      if (typeof value !== 'function') return value;
      const method = value.bind(target) as (...args: unknown[]) => unknown;
      if (AT_ONCE.has(key)) return method;
      return async (...args: unknown[]) => {
        await before?.();
        const result = await method(...args);
        await after?.();
        return wrap(result, String(key));
      };
    },
  });
}

function steppedRuntime(base: Runtime, step: Step): Runtime {
  const fs = stepped(base.fs, { before: step }, (result, method) =>
    method === 'open' ? stepped(result as FileHandle, { before: step }) : result,
  );
  return { ...base, fs, workers: stepped(base.workers, { before: step }) };
}

/** Opens the store; to be disposed like any other. */
export async function openStepped(runtime: Runtime, root: string, step: Step): Promise<Store> {
  const inner = steppedRuntime(runtime, step);
  const backend = await openLocalBackend(inner, { root, namespace: 'default' });
  const applier = stepped(backend.applier, { after: step });
  // Called without waiting for it.
  const prepare = backend.applier.prepare?.bind(backend.applier);
  const changed: LocalBackend = {
    ...backend,
    content: stepped(backend.content, { after: step }, (result, method) =>
      method === 'ingest' ? stepped(result as Ingest, { after: step }) : result,
    ),
    images: stepped(backend.images, { after: step }),
    leases: stepped(backend.leases, { after: step }),
    applier: new Proxy(applier, {
      get: (target, key) => (key === 'prepare' ? prepare : Reflect.get(target, key)),
    }),
    snapshotter: (name) => stepped(backend.snapshotter(name), { after: step }),
    sync: async (call) => {
      await step();
      await backend.sync(call);
      await step();
    },
  };
  return asStore(changed, inner);
}
