/** A registry with a store before it: the verbs that ask a registry read what is stored likewise. */
import { firstOf } from '../async/byte-stream.ts';
import type { Backend } from '../backend.ts';
import { ifFound } from '../errors.ts';
import { OCTET_STREAM } from '../oci/media-types.ts';
import type { Reference } from '../reference/reference.ts';
import type { Fetcher, Registry } from '../registry/registry.ts';

/**
 * What the store has comes from there: the target of an image's record, and each blob, verified; `registry` gives all else, and is closed
 * with the result. Images of layouts and lists are never looked for in the store.
 */
export function storedFirst(registry: Registry, store: Pick<Backend, 'images' | 'content'>): Registry {
  const { images, content } = store;
  const fetcher = (reference: Reference): Fetcher => {
    const remote = registry.fetcher(reference);
    return {
      ...remote,
      gives: false,
      async fetch(desc, request = {}) {
        const { offset = 0, end, signal } = request;
        const stored = await ifFound(content.open(desc.digest, { offset, signal }));
        if (stored === undefined) return await remote.fetch(desc, request);
        return { body: end === undefined ? stored : firstOf(stored, end - offset), offset };
      },
    };
  };
  return {
    ...registry,
    fetcher: (reference) =>
      reference.layout === undefined ? fetcher(reference) : registry.fetcher(reference),
    async resolve(reference, request = {}) {
      const image =
        reference.layout === undefined ? await ifFound(images.get(reference.name, request)) : undefined;
      return image === undefined
        ? await registry.resolve(reference, request)
        : { reference, root: image.target };
    },
    async find(reference, digest, request = {}) {
      const { signal, mediaType = '' } = request;
      const info =
        reference.layout === undefined ? await ifFound(content.info(digest, { signal })) : undefined;
      if (info === undefined) return await registry.find(reference, digest, request);
      const desc = { mediaType: mediaType === '' ? OCTET_STREAM : mediaType, digest, size: info.size };
      return { desc, fetcher: fetcher(reference) };
    },
    [Symbol.asyncDispose]: () => registry[Symbol.asyncDispose](),
  };
}
