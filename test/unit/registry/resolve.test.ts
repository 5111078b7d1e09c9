/** Resolving against the test registry: containerd's sequence and vectors, and where ours does better. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HawserError, hintOf, isKind, kindOf } from '../../../src/core/errors.ts';
import { parseReference } from '../../../src/core/reference/parse.ts';
import { codeOf } from '../../../src/core/registry/failures.ts';
import { askedWait } from '../../../src/core/registry/retry.ts';
import { bytesOf, resolveText, scripted, withClient } from '../../registry/client.ts';
import type { Fault } from '../../registry/faults.ts';
import { buildImage, buildIndex, type TestImage } from '../../registry/image.ts';
import { startRegistry, type TestRegistry } from '../../registry/registry.ts';
import { failure } from '../../support/failure.ts';

const OCI_INDEX = 'application/vnd.oci.image.index.v1+json';
const OCI_MANIFEST = 'application/vnd.oci.image.manifest.v1+json';
const ACCEPT =
  'application/vnd.docker.distribution.manifest.v2+json, application/vnd.docker.distribution.manifest.list.v2+json, application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json, */*';

const image = await buildImage({ layers: [{ entries: [{ name: 'a', data: 'hello' }] }] });

function check(
  title: string,
  faults: readonly Fault[],
  body: (ground: { registry: TestRegistry; ref: string; image: TestImage }) => Promise<void>,
): void {
  test(`resolve: ${title}`, async () => {
    const registry = await startRegistry({ faults });
    try {
      await body({ registry, ref: registry.push('t/a', 'single', image), image });
    } finally {
      await registry.close();
    }
  });
}

const wanted = { mediaType: OCI_MANIFEST, digest: image.root.digest, size: image.root.bytes.length };

check('a tag is one HEAD', [], async ({ registry, ref }) => {
  assert.deepEqual(await resolveText(ref), wanted);
  assert.deepEqual(registry.log(), ['HEAD /t/a/manifests/single']);
  const { headers } = registry.requests[0] ?? assert.fail();
  assert.equal(headers.get('accept'), ACCEPT);
  assert.equal(headers.get('user-agent'), 'hawser');
});

check('an index', [], async ({ registry }) => {
  const index = buildIndex([image]);
  const root = await resolveText(registry.push('t/a', 'multi', index));
  assert.equal(root.mediaType, 'application/vnd.oci.image.index.v1+json');
  assert.equal(root.digest, index.root.digest);
});

check('a digest is asked for by digest, also beside a tag', [], async ({ registry, ref }) => {
  assert.deepEqual(await resolveText(`${ref}@${image.root.digest}`), wanted);
  assert.deepEqual(registry.log(), [`HEAD /t/a/manifests/${image.root.digest}`]);
});

check('beside a digest the tag is not looked at', [], async ({ registry }) => {
  assert.deepEqual(await resolveText(`${registry.host}/t/a:nope@${image.root.digest}`), wanted);
  assert.deepEqual(registry.log(), [`HEAD /t/a/manifests/${image.root.digest}`]);
});

for (const said of [`sha256:${'0'.repeat(64)}`, 'nonsense']) {
  const faults = [{ headers: { 'Docker-Content-Digest': said } }];
  check(`by digest, what the header says does not count: ${said}`, faults, async ({ ref }) => {
    assert.deepEqual(await resolveText(`${ref}@${image.root.digest}`), wanted);
  });
}

check('a digest that is no manifest is looked for among the blobs', [], async ({ registry }) => {
  const layer = image.layers[0] ?? assert.fail();
  const root = await resolveText(`${registry.host}/t/a@${layer.digest}`);
  assert.deepEqual(root, { mediaType: 'application/octet-stream', digest: layer.digest, size: layer.size });
  assert.deepEqual(registry.log(), [
    `HEAD /t/a/manifests/${layer.digest}`,
    `GET /t/a/manifests/${layer.digest}`,
    `HEAD /t/a/blobs/${layer.digest}`,
    // Its bytes may be a manifest.
    `GET /t/a/blobs/${layer.digest}`,
  ]);
});

check(
  '500 on the manifest does not lead to the blobs (H33)',
  [{ match: '/manifests/', status: 500 }],
  async ({ registry }) => {
    const err = await failure(resolveText(`${registry.host}/t/a@${image.root.digest}`));
    assert.equal(kindOf(err), 'Unavailable');
    const object = `/t/a/manifests/${image.root.digest}`;
    assert.deepEqual(registry.log(), [`HEAD ${object}`, `GET ${object}`]);
  },
);

for (const [title, fault] of [
  ['no digest header: HEAD, GET', { noDigestHeader: true }],
  ['no Content-Length: HEAD, GET', { noContentLength: true }],
  ['405 to HEAD: GET', { method: 'HEAD', status: 405 }],
  // containerd makes this GET for its body only; some registries deny nothing but HEAD.
  ['403 to HEAD: GET', { method: 'HEAD', status: 403 }],
] as const) {
  check(title, [fault], async ({ registry, ref }) => {
    assert.deepEqual(await resolveText(ref), wanted);
    assert.deepEqual(registry.log(), ['HEAD /t/a/manifests/single', 'GET /t/a/manifests/single']);
  });
}

check(
  'a GET that is needed and fails is the failure',
  [
    { method: 'HEAD', noDigestHeader: true },
    { method: 'GET', status: 500 },
  ],
  async ({ registry, ref }) => {
    const err = await failure(resolveText(ref));
    assert.match(err.message, /^unexpected status from GET request to .*: 500 Internal Server Error$/);
    assert.equal(registry.requests.length, 2);
  },
);

check(
  'a manifest that was read is not fetched again',
  [{ noDigestHeader: true }],
  async ({ registry, ref }) => {
    await withClient({}, async (client) => {
      const reference = parseReference(ref);
      const { root } = await client.resolve(reference);
      assert.deepEqual(await bytesOf(await client.fetcher(reference).fetch(root)), image.root.bytes);
      assert.equal(registry.requests.length, 2);
      await bytesOf(await client.fetcher(reference).fetch(root));
      assert.equal(registry.requests.length, 3);
    });
  },
);

for (const contentType of ['application/json', 'text/plain', 'application/octet-stream', 'text/html', '']) {
  check(
    `Content-Type "${contentType}" is not believed`,
    [{ headers: { 'Content-Type': contentType } }],
    async (ground) => {
      assert.deepEqual(await resolveText(ground.ref), wanted);
    },
  );
}

check(
  'parameters of the Content-Type are cut',
  [{ contentType: `${OCI_MANIFEST} ; charset=utf-8` }],
  async ({ ref }) => {
    assert.deepEqual(await resolveText(ref), wanted);
  },
);

check(
  'a login page is no manifest',
  [{ headers: { 'Content-Type': 'text/html' }, body: '<html>' }],
  async ({ ref }) => {
    const err = await failure(resolveText(ref));
    assert.equal(kindOf(err), 'InvalidArgument');
    assert.match(err.message, /neither a manifest nor an index/);
  },
);

for (const said of [
  'sha256:../../x',
  '',
  `"${image.root.digest}"`,
  `md5:${'0'.repeat(32)}`,
  `${image.root.digest}, ${image.root.digest.replace(/.$/, 'x')}`,
]) {
  const faults = [{ headers: { 'Docker-Content-Digest': said } }];
  check(`an unusable digest header is as good as none: ${said}`, faults, async ({ ref }) => {
    assert.deepEqual(await resolveText(ref), wanted);
  });
}

check(
  'equal copies of a header are one',
  [
    {
      headers: {
        'Docker-Content-Digest': `${image.root.digest}, ${image.root.digest}`,
        'Content-Type': `${OCI_MANIFEST}, ${OCI_MANIFEST}, ${OCI_MANIFEST}`,
      },
    },
  ],
  async ({ registry, ref }) => {
    assert.deepEqual(await resolveText(ref), wanted);
    assert.deepEqual(registry.log(), ['HEAD /t/a/manifests/single'], 'HEAD was complete');
  },
);

check(
  'a document whose digest is not that of its header is damaged, and read once more',
  [{ method: 'GET', corrupt: 3, times: 1 }],
  async ({ registry, ref }) => {
    await withClient({}, async (client) => {
      const reference = parseReference(ref);
      const read = async () => (await client.resolve(reference, { read: true })).root;
      assert.deepEqual(await read(), wanted);
      assert.deepEqual(
        registry.log().map((line) => line.split(' ')[0]),
        ['HEAD', 'GET', 'GET'],
      );
      registry.faults.push({ method: 'GET', corrupt: 3 });
      assert.equal(kindOf(await failure(read())), 'DataLoss');
    });
  },
);

check(
  'the size of HEAD is advice: the bytes that are read decide',
  [{ method: 'HEAD', headers: { 'Content-Length': '100' } }],
  async ({ registry, ref }) => {
    await withClient({}, async (client) => {
      const reference = parseReference(ref);
      const { root } = await client.resolve(reference, { read: true });
      assert.deepEqual(root, wanted);
      assert.deepEqual(await bytesOf(await client.fetcher(reference).fetch(root)), image.root.bytes);
      assert.equal(registry.requests.length, 2);
    });
  },
);

for (const status of [400, 404, 406, 410, 500, 501, 503]) {
  check(`HEAD refused with ${status}: GET`, [{ method: 'HEAD', status }], async ({ registry, ref }) => {
    assert.deepEqual(await resolveText(ref), wanted);
    assert.equal(registry.requests.length, 2);
  });
}

check(
  'no GET after HEAD where the registry wants fewer requests',
  [{ status: 429 }, { status: 503, headers: { 'Retry-After': '600' } }],
  async ({ registry, ref }) => {
    await failure(resolveText(ref));
    registry.faults.shift();
    await failure(resolveText(ref));
    assert.deepEqual(registry.log(), Array(2).fill('HEAD /t/a/manifests/single'));
  },
);

check(
  'the registry’s words are told where GET has them',
  [
    {
      status: 404,
      body: '{"errors":[{"code":"NAME_UNKNOWN","message":"project nobody not found"}]}',
    },
  ],
  async ({ ref }) => {
    const err = await failure(resolveText(ref));
    assert.match(err.message, /t\/a:single: not found: name unknown: project nobody not found$/);
    assert.equal(codeOf(err), 'NAME_UNKNOWN');
  },
);

for (const contentType of ['binary/octet-stream', 'text/json', 'x/y, z', OCI_INDEX]) {
  check(
    `Content-Type "${contentType}" does not hide a manifest`,
    [{ contentType, noDigestHeader: true }],
    async ({ ref }) => assert.deepEqual(await resolveText(ref), wanted),
  );
}

check('a manifest among the blobs is one', [{ match: '/manifests/', status: 404 }], async (ground) => {
  const { registry, image } = ground;
  registry.putBlob('t/a', image.root.digest, image.root.bytes);
  await withClient({}, async (client) => {
    const reference = parseReference(`${registry.host}/t/a@${image.root.digest}`);
    const { root } = await client.resolve(reference, { read: true });
    assert.deepEqual(root, wanted);
    await bytesOf(await client.fetcher(reference).fetch(root));
    const before = registry.requests.length;
    await bytesOf(await client.fetcher(reference).fetch(root));
    assert.deepEqual(
      registry.log().slice(before),
      [`GET /t/a/blobs/${root.digest}`],
      'the endpoint is remembered',
    );
  });
});

check('a document of an unknown kind is what it says, and where it was found', [], async ({ registry }) => {
  const mediaType = 'application/vnd.oci.artifact.manifest.v1+json';
  const bytes = new TextEncoder().encode(JSON.stringify({ mediaType, artifactType: 'x/y', blobs: [] }));
  const digest = registry.putManifest('t/a', 'odd', mediaType, bytes);
  await withClient({}, async (client) => {
    const reference = parseReference(`${registry.host}/t/a:odd`);
    const { root } = await client.resolve(reference, { read: true });
    assert.deepEqual(root, { mediaType, digest, size: bytes.length });
    await bytesOf(await client.fetcher(reference).fetch(root));
    assert.deepEqual(await bytesOf(await client.fetcher(reference).fetch(root)), bytes);
    assert.equal(registry.log().at(-1), `GET /t/a/manifests/${digest}`);
  });
});

check(
  'the content of a pinned digest is hashed (H25)',
  [{ noContentLength: true, corrupt: 3 }],
  async ({ registry }) => {
    const err = await failure(resolveText(`${registry.host}/t/a@${image.root.digest}`));
    assert.equal(kindOf(err), 'DataLoss');
    assert.ok(err.message.includes(image.root.digest));
  },
);

check(
  'a manifest over 8 MiB is refused by its HEAD (H22)',
  [{ headers: { 'Content-Length': '8388609' } }],
  async ({ ref }) => {
    const err = await failure(resolveText(ref));
    assert.equal(kindOf(err), 'ResourceExhausted');
    assert.match(err.message, /rejecting 8388609 byte manifest for 127/);
  },
);

check(
  'a manifest over 8 MiB is refused while it is read (H22)',
  [{ noContentLength: true, overlong: 9 << 20 }],
  async ({ ref }) => {
    assert.equal(kindOf(await failure(resolveText(ref))), 'ResourceExhausted');
  },
);

check(
  'a larger manifest than containerd takes',
  [{ headers: { 'Content-Length': '4393217' } }],
  async ({ ref }) => {
    assert.equal((await resolveText(ref)).size, 4393217);
  },
);

check(
  'an encoded answer to GET is read as what it is, or refused',
  [{ noDigestHeader: true, contentEncoding: 'gzip' }],
  async ({ ref, registry }) => {
    const { digest } = await resolveText(ref);
    registry.faults.splice(0, 1, { noDigestHeader: true, contentEncoding: 'zstd, deflate' });
    assert.equal(digest, (await resolveText(ref)).digest);
    registry.faults.length = 0;
    assert.equal(digest, (await resolveText(ref)).digest);
    registry.faults.push({ noDigestHeader: true, contentEncoding: 'br' });
    const err = await failure(resolveText(ref));
    assert.equal(kindOf(err), 'Unavailable');
    assert.match(err.message, /content encoding "br"/);
  },
);

check('404 is not found, with the name', [], async ({ registry }) => {
  const err = await failure(resolveText(`${registry.host}/t/a:nope`));
  assert.equal(err.message, `${registry.host}/t/a:nope: not found`);
  assert.equal(kindOf(err), 'NotFound');
});

const denied = {
  status: 403,
  body: '{"errors":[{"code":"DENIED","message":"requested access is denied","detail":{}}]}',
};
check('403 tells what the registry says', [denied], async ({ registry, ref }) => {
  const err = await failure(resolveText(ref));
  assert.equal(kindOf(err), 'PermissionDenied');
  assert.equal(
    err.message,
    `pull access denied, repository does not exist or may require authorization: unexpected status from GET request to ${registry.url}/v2/t/a/manifests/single: 403 Forbidden: denied: requested access is denied`,
  );
  assert.match(hintOf(err) ?? '', /--user/);
  assert.equal(codeOf(err), 'DENIED');
});

check(
  'an endless error body is cut (H22)',
  [
    { method: 'HEAD', status: 405 },
    { status: 500, body: 'x'.repeat(5 << 20) },
  ],
  async ({ registry, ref }) => {
    assert.equal(kindOf(await failure(resolveText(ref))), 'Unavailable');
    assert.ok((registry.requests[1]?.sent ?? 0) < 5 << 20);
  },
);

check('429 carries Retry-After', [{ status: 429, headers: { 'Retry-After': '37' } }], async ({ ref }) => {
  const err = await failure(resolveText(ref));
  assert.equal(askedWait(err), 37_000);
  assert.match(hintOf(err) ?? '', /37 s/);
});

check(
  '429 carries a Retry-After date',
  [{ status: 429, headers: { 'Retry-After': 'Thu, 01 Jan 2026 00:01:00 GMT' } }],
  async ({ ref }) => {
    assert.equal(askedWait(await failure(resolveText(ref))), 60_000);
  },
);

check('302 without Location', [{ status: 302 }], async ({ ref }) => {
  const err = await failure(resolveText(ref));
  assert.equal(kindOf(err), 'FailedPrecondition');
  assert.match(err.message, /302/);
});

test('TLS failure is not followed by plain HTTP (H9)', async () => {
  const registry = await startRegistry({ faults: [{ raw: 'HTTP/1.1 400 Bad Request\r\n\r\n' }] });
  try {
    const options = { tls: { skipVerify: true }, limits: { connect: 300, headers: 300 } };
    const err = await failure(resolveText(`${registry.host}/t/a:x`, options));
    assert.ok(isKind(err, 'Unavailable', 'DeadlineExceeded'), String(err));
    assert.ok(registry.requests.every(({ method }) => method !== 'HEAD'));
  } finally {
    await registry.close();
  }
});

test('a refused connection is not followed by plain HTTP, with a port or without (H9)', async () => {
  for (const ref of ['localhost/t/a:x', '127.0.0.1/t/a:x', '127.0.0.1:443/t/a:x', 'r.test/t/a:x']) {
    const refused = new HawserError('Unavailable', 'refused', {
      reason: { type: 'exchange', code: 'ECONNREFUSED' },
    });
    const transports = scripted(() => assert.fail(refused));
    await withClient({ transports }, async (client) => {
      assert.equal(await failure(client.resolve(parseReference(ref))), refused);
    });
    assert.deepEqual(
      transports.requests.map(({ url }) => url.protocol),
      ['https:'],
    );
  }
});
