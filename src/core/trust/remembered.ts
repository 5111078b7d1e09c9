import type { Descriptor } from '../oci/descriptor.ts';
import type { Digest } from '../oci/digest.ts';
import type { Evidence } from './evidence.ts';

/** Bytes of documents that are remembered: what is beyond is asked for again. */
const MOST = 8 * 1024 * 1024;

/** Evidence that was looked at, so that what was read need not be asked for again. */
export interface RememberedEvidence extends Evidence {
  /** The descriptor of a document that a tag or a list has named. */
  met(digest: Digest): Descriptor | undefined;
}

/** Remembers what `evidence` gives, up to 8 MiB. Failures are not remembered. */
export function remembered(evidence: Evidence): RememberedEvidence {
  const bytes = new Map<string, Uint8Array>();
  const met = new Map<string, Descriptor>();
  let length = 0;
  const remember = (digest: Digest, content: Uint8Array): void => {
    if (bytes.has(digest) || length + content.length > MOST) return;
    length += content.length;
    bytes.set(digest, content);
  };
  const answers = new Map<string, Promise<unknown>>();
  const once = async <T>(key: string, ask: () => Promise<T>): Promise<T> => {
    const known = answers.get(key) ?? ask();
    answers.set(key, known);
    try {
      return (await known) as T;
    } catch (err) {
      answers.delete(key);
      throw err;
    }
  };
  const cost = evidence.cost?.bind(evidence);
  return {
    ...(cost === undefined ? {} : { cost }),
    hint: evidence.hint,
    met: (digest) => met.get(digest),
    tagged: (tag, limit, call) =>
      once(`tag ${tag}`, async () => {
        const found = await evidence.tagged(tag, limit, call);
        for (const one of found) {
          met.set(one.desc.digest, one.desc);
          remember(one.desc.digest, one.bytes);
        }
        return found;
      }),
    referrers: (subject, artifactType, call) =>
      once(`of ${subject} ${artifactType}`, async () => {
        const found = await evidence.referrers(subject, artifactType, call);
        for (const desc of found) met.set(desc.digest, desc);
        return found;
      }),
    async read(desc, limit, call) {
      const known = bytes.get(desc.digest);
      if (known?.length === desc.size && desc.size <= limit) return known;
      const content = await evidence.read(desc, limit, call);
      remember(desc.digest, content);
      return content;
    },
  };
}
