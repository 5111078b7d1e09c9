/** A manifest of Docker's schema 1 from the registry. Its form there is signed; its digest is of the payload. */
import { HawserError, messageOf } from '../errors.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import { algorithmOf, digestBytes } from '../oci/digest.ts';
import { MAX_SCHEMA1_BYTES, schema1Payload } from '../oci/schema1.ts';
import type { Call } from '../ports/call.ts';
import type { Clock } from '../ports/clock.ts';
import type { Hashers } from '../ports/hashers.ts';
import type { Report } from '../progress/events.ts';
import { readCapped } from '../registry/body.ts';
import { persist, type RetryOptions } from '../registry/patience.ts';
import type { Fetcher } from '../registry/registry.ts';

interface Schema1Deps {
  readonly fetcher: Fetcher;
  readonly clock: Clock;
  readonly hashers: Hashers;
  readonly report: Report;
  readonly retry?: RetryOptions | undefined;
}

/** The manifest's payload, verified: DataLoss when it has another digest. */
export async function fetchSchema1(deps: Schema1Deps, root: Descriptor, call: Call): Promise<Uint8Array> {
  if (root.size > MAX_SCHEMA1_BYTES) throw tooLarge(root);
  const { fetcher, clock, report, retry } = deps;
  const told = { type: 'retry', key: root.digest, desc: root, offset: 0 } as const;
  const onWait = (_: number, err: unknown) => report({ ...told, reason: messageOf(err) });
  // Whole each time: its size is that of a signed form, which the digest says nothing of.
  const bytes = await persist({ clock, retry }, call, onWait, async () =>
    readCapped((await fetcher.fetch(root, call)).body, MAX_SCHEMA1_BYTES),
  );
  if (bytes === undefined) throw tooLarge(root);
  const payload = schema1Payload(bytes, root.mediaType);
  const digest = digestBytes(payload, deps.hashers, algorithmOf(root.digest));
  if (digest !== root.digest) {
    throw new HawserError('DataLoss', `content without signature is ${digest}, want ${root.digest}`, {
      hint: 'The registry, or something before it, changed the manifest; pull again',
    });
  }
  return payload;
}

function tooLarge(root: Descriptor): HawserError {
  return new HawserError(
    'ResourceExhausted',
    `${root.digest} has more than ${MAX_SCHEMA1_BYTES} bytes, too many for a schema 1 manifest`,
  );
}
