/** Errors of looking for signatures. */
import { OCI_INDEX, OCI_MANIFEST } from '../../../../src/core/oci/media-types.ts';
import type { Evidence } from '../../../../src/core/trust/evidence.ts';
import type { Row } from './kit.ts';
import {
  type Answer,
  type Asking,
  asked,
  blob,
  DIGEST,
  NO_REGISTRY,
  reference,
  type Script,
} from './scripts.ts';

const looking = (script: Script | Answer, use: (evidence: Evidence) => Promise<unknown>): Asking =>
  asked(script, (client) => use(client.evidence(reference)));
const referrers = (evidence: Evidence) => evidence.referrers(DIGEST, 'application/x', {});
const page = (next: string): Answer => ({
  headers: { 'content-type': OCI_INDEX, link: `<${next}>; rel="next"` },
  body: '{"manifests":[]}',
});

export const EVIDENCE: readonly Row[] = [
  {
    says: /^what is at the tag of the referrers is no list of them$/,
    fail: looking(
      ({ url }) =>
        url.pathname.includes('/referrers/')
          ? { status: 404 }
          : {
              headers: { 'content-type': OCI_MANIFEST },
              body: `{"schemaVersion":2,"mediaType":"${OCI_MANIFEST}","config":{},"layers":[]}`,
            },
      referrers,
    ),
  },
  {
    says: /^sha256:a{64} has 1000 bytes, more than 999$/,
    fail: looking({}, (evidence) => evidence.read(blob(), 999, {})),
  },
  {
    says: /^the bytes of sha256:a{64} are not what its descriptor says$/,
    fail: looking({ body: 'x'.repeat(1000) }, (evidence) => evidence.read(blob(), 1000, {})),
  },
  {
    says: /the next page is at https:\/\/elsewhere\.test\/next, another place$/,
    hint: /^A list that decides about an image is read at one place only$/,
    fail: looking(page('https://elsewhere.test/next'), referrers),
  },
  {
    says: /the list has more than 4 pages$/,
    hint: /^A list of that length is not read$/,
    fail: () => {
      let at = 0;
      return looking(() => page(`?page=${++at}`), referrers)();
    },
  },
  {
    says: /the list has more than 1048576 bytes in one page$/,
    hint: /^A list of that length is not read$/,
    fail: looking({ headers: { 'content-type': OCI_INDEX }, body: ' '.repeat((1 << 20) + 1) }, referrers),
  },
  {
    says: /^rejecting more than 10 byte manifest for reg\.test\/a\/b:x\.sig$/,
    hint: /^Manifests of at most 10 bytes are read$/,
    fail: looking({ body: ' '.repeat(11) }, (evidence) => evidence.tagged('x.sig', 10, {})),
  },
  {
    says: /Cannot read the list: not valid JSON/,
    hint: NO_REGISTRY,
    fail: looking({ headers: { 'content-type': OCI_INDEX }, body: '{' }, referrers),
  },
];
