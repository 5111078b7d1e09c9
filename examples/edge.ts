/**
 * Answers GET /REF/-/PATH with a file of an image, where there are Web APIs and nothing else: `deno serve --allow-net edge.ts`, or as the
 * handler of an edge function.
 */
import { hintOf, isKind, kindOf, open } from 'hawser/web';

export default {
  async fetch(request: Request): Promise<Response> {
    const [, reference, path] = /^\/(.+?)\/-(\/.+)$/.exec(decodeURI(new URL(request.url).pathname)) ?? [];
    if (reference === undefined || path === undefined)
      return new Response('GET /REF/-/PATH\n', { status: 400 });
    try {
      return new Response(await open(reference, path, { signal: request.signal }));
    } catch (err) {
      const status = isKind(err, 'NotFound') ? 404 : isKind(err, 'InvalidArgument') ? 400 : 502;
      return Response.json({ kind: kindOf(err), hint: hintOf(err) }, { status });
    }
  },
};
