/** Bodies over sockets that read into one buffer of the process: no byte of one is another's, and a read brings more than Node's own. */
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { undiciTransports } from '../../../../src/platform/http/undici-transport.ts';

const BODIES: readonly Uint8Array[] = [2_000_003, 1, 70_000, 0, 999_999, 262_144].map((size) =>
  randomBytes(size),
);
/** Bytes that Node's own reads bring at most. */
const NODES_OWN = 64 * 1024;

async function listen(server: Server): Promise<string> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const sum = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

test('large reads: bodies that come at once keep their bytes, whatever the reader keeps of them', async () => {
  const server = createServer((request, response) => {
    response.end(BODIES[Number(request.url?.slice(1))]);
  });
  const origin = await listen(server);
  const transport = undiciTransports().open({ connections: 3 });
  let largest = 0;
  try {
    const one = async (at: number): Promise<void> => {
      const request = {
        method: 'GET',
        url: new URL(`${origin}/${at % BODIES.length}`),
        headers: {},
      } as const;
      const { body } = await transport.send(request);
      // The kernel's queue fills meanwhile.
      await sleep(20);
      const chunks: Uint8Array[] = [];
      for await (const chunk of body) {
        chunks.push(chunk);
        largest = Math.max(largest, chunk.length);
        if (chunks.length % 3 === 0) await sleep(1);
      }
      assert.equal(
        sum(Buffer.concat(chunks)),
        sum(BODIES[at % BODIES.length] ?? new Uint8Array()),
        `body ${at}`,
      );
    };
    await Promise.all(Array.from({ length: 4 * BODIES.length }, (_, at) => one(at)));
  } finally {
    await transport[Symbol.asyncDispose]();
    server.closeAllConnections();
    server.close();
  }
  if (!('Deno' in globalThis)) assert.ok(largest > NODES_OWN, `the largest chunk has ${largest} bytes`);
});
