/** Signs images of a test registry with a key of its own, in both forms of cosign, so that tests can sign whatever they push. */
import { createHash, generateKeyPairSync, sign } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestRegistry } from '../registry/registry.ts';

const MANIFEST = 'application/vnd.oci.image.manifest.v1+json';
const SIMPLE = 'application/vnd.dev.cosign.simplesigning.v1+json';
const ENVELOPE = 'application/vnd.dsse.envelope.v1+json';
const IN_TOTO = 'application/vnd.in-toto+json';
export const BUNDLE = 'application/vnd.dev.sigstore.bundle.v0.3+json';

export type Form = 'attachment' | 'bundle';

export const digestOf = (bytes: Uint8Array): string =>
  `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
const json = (value: unknown): Buffer => Buffer.from(JSON.stringify(value));

export interface Signer {
  /** The file of the public key. */
  readonly key: string;
  /** Signs a digest of a repository; the digest of the manifest that holds the signature. `named`: the digest, `as`: the repository that is signed in its place. */
  sign(
    registry: TestRegistry,
    repository: string,
    digest: string,
    form: Form,
    named?: string,
    as?: string,
  ): string;
  /** A layer of cosign's old form. */
  layer(registry: TestRegistry, repository: string, digest: string, more?: object, as?: string): object;
}

function put(registry: TestRegistry, repository: string, bytes: Uint8Array, mediaType: string) {
  const digest = digestOf(bytes);
  registry.putBlob(repository, digest, bytes);
  return { mediaType, digest, size: bytes.length };
}

/** Puts a manifest of these layers at cosign's tag; its digest. */
export function attach(
  registry: TestRegistry,
  repository: string,
  digest: string,
  layers: readonly object[],
  kind: 'sig' | 'att' = 'sig',
): string {
  const diffIds = layers.map(() => digest);
  const image = { architecture: '', os: '', rootfs: { type: 'layers', diff_ids: diffIds } };
  const config = put(registry, repository, json(image), 'application/vnd.oci.image.config.v1+json');
  const manifest = json({ schemaVersion: 2, mediaType: MANIFEST, config, layers });
  return registry.putManifest(repository, `${digest.replace(':', '-')}.${kind}`, MANIFEST, manifest);
}

/** Puts what cosign's old `attest` makes at its tag. */
export function attest(registry: TestRegistry, repository: string, digest: string): string {
  const envelope = put(registry, repository, json({ payloadType: IN_TOTO, of: digest }), ENVELOPE);
  return attach(registry, repository, digest, [envelope], 'att');
}

interface ReferrerParts {
  readonly artifactType: string;
  readonly body?: unknown;
  /** In the place of the body as JSON. */
  readonly text?: string;
  readonly annotations?: object;
}

/** Puts a manifest of one layer among the referrers; its digest. */
export function refer(
  registry: TestRegistry,
  repository: string,
  digest: string,
  { artifactType, body, text = JSON.stringify(body), annotations }: ReferrerParts,
): string {
  const config = put(registry, repository, json({}), 'application/vnd.oci.empty.v1+json');
  const layer = put(registry, repository, Buffer.from(text), artifactType);
  const subject = { mediaType: MANIFEST, digest, size: 1 };
  const parts = { config, layers: [layer], subject, annotations };
  const manifest = json({ schemaVersion: 2, mediaType: MANIFEST, artifactType, ...parts });
  return registry.putManifest(repository, digestOf(manifest), MANIFEST, manifest);
}

/** `dir`: gets the public key. */
export function newSigner(dir: string): Signer {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const pem = publicKey.export({ type: 'spki', format: 'pem' });
  const key = join(dir, `${digestOf(Buffer.from(pem)).slice(7, 19)}.pub`);
  writeFileSync(key, pem);
  const signed = (bytes: Uint8Array) => sign('sha256', bytes, privateKey).toString('base64');
  const layer: Signer['layer'] = (registry, repository, digest, more = {}, as = repository) => {
    const payload = json({
      critical: {
        identity: { 'docker-reference': `${registry.host}/${as}` },
        image: { 'docker-manifest-digest': digest },
        type: 'cosign container image signature',
      },
      optional: null,
      ...more,
    });
    const annotations = { 'dev.cosignproject.cosign/signature': signed(payload) };
    return { ...put(registry, repository, payload, SIMPLE), annotations };
  };
  const bundle = (digest: string) => {
    const statement = json({
      _type: 'https://in-toto.io/Statement/v1',
      predicateType: 'https://sigstore.dev/cosign/sign/v1',
      subject: [{ digest: Object.fromEntries([digest.split(':')]) }],
      predicate: {},
    });
    const pae = Buffer.concat([
      Buffer.from(`DSSEv1 ${IN_TOTO.length} ${IN_TOTO} ${statement.length} `),
      statement,
    ]);
    const envelope = { payload: statement.toString('base64'), payloadType: IN_TOTO };
    const dsseEnvelope = { ...envelope, signatures: [{ sig: signed(pae) }] };
    return { mediaType: BUNDLE, verificationMaterial: {}, dsseEnvelope };
  };
  return {
    key,
    layer,
    sign: (registry, repository, digest, form, named = digest, as = repository) =>
      form === 'attachment'
        ? attach(registry, repository, digest, [layer(registry, repository, named, {}, as)])
        : refer(registry, repository, digest, { artifactType: BUNDLE, body: bundle(named) }),
  };
}
