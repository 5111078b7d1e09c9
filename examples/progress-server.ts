/**
 * Fetches images for HTTP clients, and tells each how far its image is, as server-sent events: progress-server.ts DIR [PORT]
 *
 *     curl -N 'http://127.0.0.1:8080/fetch?ref=docker.io/library/alpine:3.20'
 */
import { createServer } from 'node:http';
import process from 'node:process';
import { fetchImage, hintOf, kindOf, openStore, parseReference } from 'hawser';

const [root, port = '8080'] = process.argv.slice(2);
const store = await openStore({ root });

const server = createServer(async (request, response) => {
  const asked = URL.parse(request.url ?? '/', 'http://localhost');
  const reference = asked?.pathname === '/fetch' ? asked.searchParams.get('ref') : null;
  if (reference == null) {
    response.writeHead(404).end();
    return;
  }
  try {
    // Of registries only: `oci:DIR` and the like would read files of this machine.
    parseReference(reference);
  } catch (err) {
    response.writeHead(400).end(`${err instanceof Error ? err.message : err}\n`);
    return;
  }
  // A client that leaves ends the fetch; what was fetched is kept for the next one.
  const gone = new AbortController();
  response.on('close', () => gone.abort(new Error('the client has left')));
  response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' });
  const tell = (event: string, data: unknown): void => {
    response.write(`event: ${event}\ndata: ${JSON.stringify(data)}\n\n`);
  };
  try {
    const { target } = await fetchImage(reference, {
      store,
      signal: gone.signal,
      onProgress: (event) => {
        if (event.type === 'blob')
          tell('blob', { digest: event.desc.digest, done: event.offset, size: event.desc.size });
        if (event.type === 'warning') tell('warning', event.message);
      },
    });
    tell('fetched', target);
  } catch (err) {
    const message = err instanceof Error ? err.message : String(err);
    tell('failed', { kind: kindOf(err), message, hint: hintOf(err) });
  }
  response.end();
});

server.listen(Number(port), '127.0.0.1', () => console.log('listening', server.address()));

process.once('SIGTERM', () => {
  server.close(() => void store[Symbol.asyncDispose]());
  server.closeAllConnections();
});
