import { type LocalBackend, openLocalBackend } from '../../src/backends/local/open.ts';
import { contentSuite, type StoreUnderTest } from '../suites/content.ts';
import { gcSuite } from '../suites/gc.ts';
import { imagesSuite } from '../suites/images.ts';
import { leasesSuite } from '../suites/leases.ts';
import { namespacesSuite } from '../suites/namespaces.ts';
import { bareRuntime } from '../support/bare-runtime.ts';
import { tempDir } from '../support/tmp.ts';

async function local(): Promise<StoreUnderTest> {
  const dir = tempDir();
  const opened: LocalBackend[] = [];
  return {
    open: async (namespace, contentSharing) => {
      const root = `${dir.path}/store`;
      const backend = await openLocalBackend(bareRuntime(), { root, namespace, contentSharing });
      opened.push(backend);
      return backend;
    },
    done: async () => {
      for (const backend of opened) await backend[Symbol.asyncDispose]();
      dir[Symbol.dispose]();
    },
  };
}

contentSuite('local', local);
leasesSuite('local', local);
imagesSuite('local', local);
namespacesSuite('local', local);
gcSuite('local', local);
