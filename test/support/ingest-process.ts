/**
 * A process that writes an ingest, for tests that kill it: `ROOT REF DIGEST SIZE MODE`, content of byte 7. Prints
 * `open <offset>`, then with MODE `hold` writes half, prints `half` and waits to be killed; with `finish` commits and prints
 * `done`, or prints what went wrong's kind.
 */
import { readdirSync, statSync } from 'node:fs';
import process from 'node:process';
import { openLocalBackend } from '../../src/backends/local/open.ts';
import { isKind, kindOf } from '../../src/core/errors.ts';
import { parseDigest } from '../../src/core/oci/digest.ts';
import { bareRuntime } from './bare-runtime.ts';

const [root = '', ref = '', digest = '', length = '0', mode = ''] = process.argv.slice(2);
const size = Number(length);

/** The store is the test's, and has this one ingest. */
function written(): number {
  const [dir = ''] = readdirSync(`${root}/content/ingest`);
  return statSync(`${root}/content/ingest/${dir}/data`).size;
}

async function main(): Promise<void> {
  const runtime = bareRuntime();
  const backend = await openLocalBackend(runtime, { root, namespace: 'testing' });
  const lease = await backend.leases.create({ expiresIn: 3_600_000 });
  try {
    for (;;) {
      try {
        const ingest = await backend.content.ingest(
          ref,
          { digest: parseDigest(digest), size },
          { lease: lease.id },
        );
        console.log(`open ${ingest.offset}`);
        const end = mode === 'hold' ? size >> 1 : size;
        while (ingest.offset < end) {
          await ingest.write(new Uint8Array(Math.min(100_000, end - ingest.offset)).fill(7));
        }
        if (mode === 'hold') {
          // Written behind: what was taken may be held for a moment, and a kill would lose it.
          while (written() < end) await runtime.clock.sleep(5);
          console.log('half');
          await runtime.clock.sleep(600_000);
        }
        await ingest.commit();
        console.log('done');
        return;
      } catch (err) {
        if (mode !== 'follow' || !isKind(err, 'Unavailable')) {
          console.log(kindOf(err));
          return;
        }
        await runtime.clock.sleep(20);
      }
    }
  } finally {
    await backend[Symbol.asyncDispose]();
  }
}

await main();
