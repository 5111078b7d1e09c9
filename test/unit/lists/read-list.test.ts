/** Lists of images: what each form names, what of a list is broken, and what no list can do to us. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hintOf, kindOf, messageOf } from '../../../src/core/errors.ts';
import { addImageKeys } from '../../../src/core/lists/kubernetes.ts';
import { ListBuilder } from '../../../src/core/lists/list.ts';
import { lockText } from '../../../src/core/lists/lock.ts';
import { readList } from '../../../src/core/lists/read-list.ts';

const DIGEST = `sha256:${'a'.repeat(64)}`;

async function namesOf(text: string): Promise<string[]> {
  const { images, errors } = await readList(text, 'l');
  assert.deepEqual(errors.map(messageOf), []);
  return images.map(
    ({ reference, platforms }) => reference.name + (platforms === undefined ? '' : ` ${platforms.join()}`),
  );
}

async function wrongOf(text: string): Promise<string[]> {
  return (await readList(text, 'l')).errors.map(messageOf);
}

test('A32: lines with a mark of order, CRLF, comments, blanks, duplicates and digests; a bad line has its number', async () => {
  const text = [
    '\ufeff# images of the release',
    '',
    'docker.io/rancher/pause:3.6 # the sandbox',
    '  alpine\t',
    'docker.io/library/alpine:latest',
    `quay.io/a/b:1@${DIGEST}`,
    'Not/Valid',
    'alpine busybox',
    'registry.example:5000/a/b',
    '#',
  ].join('\r\n');
  const { images, errors } = await readList(text, 'images.txt');
  assert.deepEqual(
    images.map(({ reference, at }) => `${at} ${reference.name}`),
    [
      'images.txt:3 docker.io/rancher/pause:3.6',
      'images.txt:4 docker.io/library/alpine:latest',
      `images.txt:6 quay.io/a/b:1@${DIGEST}`,
      'images.txt:9 registry.example:5000/a/b:latest',
    ],
  );
  assert.deepEqual(
    errors.map((err) => messageOf(err).slice(0, 40)),
    ['images.txt:7: Cannot use reference "Not/', 'images.txt:8: more than one word'],
  );
  assert.ok(errors.every((err) => hintOf(err) !== undefined));
});

/** Each form as its tool documents it. */
const FORMS: Readonly<Record<string, readonly [text: string, names: readonly string[]]>> = {
  'kubeadm config images list': [
    'registry.k8s.io/kube-apiserver:v1.31.0\nregistry.k8s.io/pause:3.10\n',
    ['registry.k8s.io/kube-apiserver:v1.31.0', 'registry.k8s.io/pause:3.10'],
  ],
  'skopeo sync': [
    `registry.example.com:
    images:
        redis:
            - "1.0"
            - "2.0"
            - "${DIGEST}"
quay.io:
    tls-verify: true
    images:
        coreos/etcd: [latest]
`,
    [
      'registry.example.com/redis:1.0',
      'registry.example.com/redis:2.0',
      `registry.example.com/redis@${DIGEST}`,
      'quay.io/coreos/etcd:latest',
    ],
  ],
  regsync: [
    `version: 1
defaults: {parallel: 2}
sync:
  - source: busybox:latest
    target: registry:5000/library/busybox:latest
    type: image
  - source: alpine:3
    target: registry:5000/library/alpine:3
    type: image
    platforms: [linux/amd64, linux/arm64]
`,
    ['docker.io/library/busybox:latest', 'docker.io/library/alpine:3 linux/amd64,linux/arm64'],
  ],
  'hauler, of several kinds': [
    `apiVersion: content.hauler.cattle.io/v1
kind: Images
metadata:
  name: images
  annotations:
    hauler.dev/registry: ghcr.io
    hauler.dev/platform: linux/amd64
spec:
  images:
    - name: hauler-dev/library/busybox
    - name: docker.io/neuvector/scanner:3
      platform: linux/arm64
---
apiVersion: content.hauler.cattle.io/v1
kind: Charts
metadata: {name: c}
spec: {charts: []}
`,
    ['ghcr.io/hauler-dev/library/busybox:latest linux/amd64', 'docker.io/neuvector/scanner:3 linux/arm64'],
  ],
  'rendered manifests': [
    `---
# Source: app/templates/deployment.yaml
apiVersion: apps/v1
kind: Deployment
metadata: {name: app}
spec:
  template:
    spec:
      initContainers: [{name: i, image: "init:1"}]
      containers:
        - {name: a, image: "app:1"}
        - {name: b, image: "app:1"}
      volumes:
        - {name: v, image: {reference: "quay.io/data:1", pullPolicy: Always}}
---
apiVersion: batch/v1
kind: CronJob
spec: {jobTemplate: {spec: {template: {spec: {containers: [{image: "cron:1"}]}}}}}
---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
spec: {versions: [{schema: {properties: {image: {type: string}, default: {image: no}}}}]}
---
apiVersion: monitoring.coreos.com/v1
kind: Prometheus
spec: {image: "quay.io/prometheus/prometheus:v2", version: ""}
---
`,
    [
      'docker.io/library/init:1',
      'docker.io/library/app:1',
      'quay.io/data:1',
      'docker.io/library/cron:1',
      'quay.io/prometheus/prometheus:v2',
    ],
  ],
  'a List of kubectl get -o json': [
    JSON.stringify({
      apiVersion: 'v1',
      kind: 'List',
      items: [
        { kind: 'Pod', spec: { containers: [{ image: 'a:1' }] } },
        { kind: 'Pod', image: '' },
      ],
    }),
    ['docker.io/library/a:1'],
  ],
  'a lock': [
    lockText([
      { ref: 'quay.io/b:2', digest: DIGEST, mediaType: 't', size: 1, platforms: { 'linux/arm64': DIGEST } },
      { ref: 'quay.io/a:1', digest: DIGEST, mediaType: 't', size: 1 },
    ]),
    ['quay.io/a:1', 'quay.io/b:2 linux/arm64'],
  ],
};

for (const [form, [text, names]] of Object.entries(FORMS))
  test(`A33: ${form}`, async () => {
    assert.deepEqual(await namesOf(text), names);
  });

test('a lock pins the digest, and the image keeps the name of its tag', async () => {
  const text = lockText([{ ref: 'quay.io/a:1', digest: DIGEST, mediaType: 't', size: 1 }]);
  const [image] = (await readList(text, 'l')).images;
  assert.equal(image?.reference.digest, DIGEST);
  assert.equal(image?.reference.name, 'quay.io/a:1');
});

test('a lock whose name has another digest is refused: the record would lie', async () => {
  const entry = (ref: string) => ({ ref, digest: DIGEST, mediaType: 't', size: 1 });
  const other = `sha256:${'b'.repeat(64)}`;
  const text = lockText([entry(`quay.io/a@${DIGEST}`), entry(`quay.io/b:1@${other}`)]);
  const { images, errors } = await readList(text, 'l');
  assert.deepEqual(
    images.map(({ reference: { name, digest } }) => [name, digest]),
    [[`quay.io/a@${DIGEST}`, DIGEST]],
  );
  assert.deepEqual(errors.map(messageOf), [
    `l, image 2: the digest of quay.io/b:1@${other} is another: ${DIGEST}`,
  ]);
});

test('HA16: what would need a list of tags, a signature check or a template is an error that says so; secrets are not used', async () => {
  assert.deepEqual(await wrongOf('h.io:\n  images: {a: [], b: ["1"]}\n  images-by-tag-regex: {c: "^1"}\n'), [
    'l: images-by-tag-regex of h.io: hawser asks no registry for its tags; name them',
    'l: h.io/a without tags stands for all tags: hawser asks no registry for its tags; name them',
  ]);
  assert.match(
    (await wrongOf('sync: [{source: "a", type: repository}, {source: "{{env}}", type: image}, 3]')).join(
      '\n',
    ),
    /sync 1: type repository.*\n.*sync 2: templates are not expanded\n.*sync 3: it has no source/,
  );
  const hauler =
    'apiVersion: content.hauler.cattle.io/v1\nkind: Images\nspec: {images: [{name: a, key: k}, {}]}';
  assert.match((await wrongOf(hauler)).join('\n'), /image 1: a signature.*\n.*image 2: it has no name/);
  const { warnings } = await readList(
    'h.io:\n  images: {a: ["1"]}\n  credentials: {username: u, password: hunter2}\n  tls-verify: false\n',
    'l',
  );
  assert.equal(warnings.length, 2);
  assert.ok(!warnings.join().includes('hunter2'));
});

test('unknown documents and unreadable YAML are told with their place', async () => {
  assert.deepEqual(await wrongOf('a: 1\n---\n- x\n'), [
    'l, document 1: this is no list that hawser knows',
    'l, document 2: this is no list that hawser knows',
  ]);
  await assert.rejects(readList('a: [1\nb: "', 'l'), (err) => {
    assert.match(messageOf(err), /^Cannot read the list l: .*line \d/);
    return kindOf(err) === 'InvalidArgument';
  });
  assert.deepEqual(await wrongOf('{"v": 2, "images": []}'), ['l: this is a lock of version 2']);
  assert.match(
    (await wrongOf('{"v": 1, "images": [{"ref": "a:1", "digest": "sha256:0"}, 7]}')).join(),
    /image 1: .*image 2: /,
  );
});

/** Each is refused, or read, in little time and memory. */
const HOSTILE: Readonly<Record<string, string>> = {
  'an alias bomb': `apiVersion: v1\nkind: a\nx0: &x0 [1,1,1,1,1,1,1,1,1]\n${Array.from({ length: 40 }, (_, n) => `x${n + 1}: &x${n + 1} [${`*x${n},`.repeat(9)}]\n`).join('')}`,
  'an alias of itself': 'apiVersion: v1\nkind: a\nx: &x {image: a, y: *x}\n',
  'thousands of aliases inside their own anchor': `apiVersion: v1\nkind: a\nx: &x [${'*x,'.repeat(3000)}]\n`,
  'aliases of what holds aliases of nothing': `apiVersion: v1\nkind: a\ne: &e []\nx: &x [${'*e,'.repeat(2000)}]\ny: [${'*x,'.repeat(2000)}]\n`,
  'many aliases': `apiVersion: v1\nkind: a\nx: &x 1\ny: [${'*x,'.repeat(50_000)}]\n`,
  'aliases of a long list of tags': `h.io:\n  images:\n    a: &t [${'"1",'.repeat(50_000)}]\n${Array.from({ length: 100 }, (_, n) => `    a${n}: *t\n`).join('')}`,
  'merges of merges, in YAML 1.1': `%YAML 1.1\n---\napiVersion: v1\nkind: a\nx0: &x0 {a: 1}\n${Array.from({ length: 40 }, (_, n) => `x${n + 1}: &x${n + 1} {<<: [*x${n}, *x${n}]}\n`).join('')}`,
  'many documents': `${'---\n'.repeat(50_000)}a`,
  'closing brackets in a comment, then opening ones': `# ${']'.repeat(1_000_000)}\nx: ${'['.repeat(1_000_000)}`,
  'deep brackets': `{"apiVersion":"v1","kind":"a","x":${'['.repeat(1_000_000)}`,
  'deep items': `apiVersion: v1\nkind: a\nx: ${'- '.repeat(100_000)}`,
  'deep mappings': `apiVersion: v1\nkind: a\nx: ${'{a: '.repeat(500)}1${'}'.repeat(500)}`,
  'many keys': `apiVersion: v1\nkind: a\n${Array.from({ length: 50_000 }, (_, n) => `k${n}: 1\n`).join('')}`,
  'one line of a MiB': 'a'.repeat(1 << 20),
  'a tag of JavaScript': 'apiVersion: v1\nkind: a\nimage: !!js/function "function () { process.exit(7) }"\n',
  'a command and a template in names':
    'sync: [{source: "$(touch x)", type: image}, {source: "{{ env \\"HOME\\" }}", type: image}]\n',
  'merge keys of aliases': `apiVersion: v1\nkind: a\nb: &b {image: a}\n${'c: {<<: *b}\n'.repeat(1)}d: {<<: [${'*b,'.repeat(20_000)}]}\n`,
  'names of prototypes': '{"__proto__": {"images": {"a": ["1"]}}, "constructor": 1}',
};

for (const [name, text] of Object.entries(HOSTILE))
  test(`HA16: a hostile list: ${name}`, async () => {
    const began = performance.now();
    const images = await readList(text, 'l').then(
      (list) => list.images.length,
      (err) => {
        assert.ok(['InvalidArgument', 'ResourceExhausted'].includes(kindOf(err)), String(err));
        assert.ok(messageOf(err).length < 500);
        return 0;
      },
    );
    assert.ok(images <= 1);
    assert.ok(performance.now() - began < 8000, 'it took long');
  });

test('nodes are counted before they are kept: a node inside itself is refused at its first million', () => {
  const list = new ListBuilder();
  const inside: unknown[] = Array.from({ length: 200_000 }, () => ({}));
  inside[0] = inside;
  const began = performance.now();
  addImageKeys(list, { kind: 'a', inside }, 'l');
  assert.match(list.errors.map(messageOf).join(), /too large/);
  assert.ok(performance.now() - began < 2000, 'it took long');
});

test('a list of more images than allowed is refused', async () => {
  const text = Array.from({ length: 10_100 }, (_, n) => `h.io/a:${n}`).join('\n');
  const { images, errors } = await readList(text, 'l');
  assert.equal(images.length, 10_000);
  assert.match(messageOf(errors[0]), /names more than 10000 images/);
});
