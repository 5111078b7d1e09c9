import type { Certificate, SignatureChecks } from '../../core/ports/signatures.ts';
import { certificates, type Parsed, parseCertificate } from './certificate.ts';
import { tracePath } from './certificate-path.ts';
import { publicKey } from './keys.ts';
import { nameDigests } from './libraries.ts';
import { openLogs } from './transparency-log.ts';
import { openTrustedRoot } from './trusted-root.ts';

/** The checks, over node:crypto and sigstore's libraries, which this module alone brings in. */
export function createSignatureChecks(): SignatureChecks {
  nameDigests();
  return {
    key: publicKey,
    certificates,
    authorities(roots, intermediates) {
      const [anchors, between] = [roots.map(parsed), intermediates.map(parsed)];
      return {
        trace: (certificate, more, at) =>
          tracePath(parsed(certificate), anchors, [...between, ...more.map(parsed)], at),
      };
    },
    logs: openLogs,
    trustedRoot: openTrustedRoot,
  };
}

function parsed(certificate: Certificate): Parsed {
  return parseCertificate(certificate.der);
}
