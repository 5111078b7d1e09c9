/** The directories of a snapshot, read out of the mounts that containerd answers with. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { toPrepared } from '../../../src/backends/containerd/descriptors.ts';

const mount = (type: string, source: string, ...options: string[]) => ({ type, source, options });

const CASES = {
  'a bind mount to write to': [[mount('bind', '/s/1/fs', 'rw', 'rbind')], { upper: '/s/1/fs', lowers: [] }],
  'a bind mount that is read-only': [[mount('bind', '/s/1/fs', 'ro', 'rbind')], undefined],
  'an overlay': [
    [mount('overlay', 'overlay', 'index=off', 'workdir=/s/3/work', 'upperdir=/s/3/fs', 'lowerdir=/s/2:/s/1')],
    { upper: '/s/3/fs', lowers: ['/s/2', '/s/1'] },
  ],
  'an overlay over nothing that can be written': [
    [mount('overlay', 'overlay', 'lowerdir=/s/2:/s/1')],
    undefined,
  ],
  'a lower directory that is relative': [
    [mount('overlay', 'overlay', 'upperdir=/s/3/fs', 'lowerdir=/s/2:1')],
    undefined,
  ],
  'a template of containerd 2': [
    [
      mount('erofs', '/s/1/layer.erofs', 'ro'),
      mount('format/overlay', 'overlay', 'upperdir={{ mount 0 }}/fs', 'lowerdir=/s/1'),
    ],
    undefined,
  ],
  'a block device': [[mount('ext4', '/dev/mapper/x')], undefined],
  'no mount': [[], undefined],
} as const;

for (const [title, [mounts, trees]] of Object.entries(CASES)) {
  test(`containerd prepared: ${title}`, () => {
    const messages = mounts.map((one) => ({ ...one, options: [...one.options], target: '' }));
    assert.deepEqual(toPrepared(messages).trees, trees);
    assert.equal(toPrepared(messages).mounts?.length, mounts.length);
  });
}
