/**
 * The 34 breakouts of containerd's pkg/archive tests by their names (spec: TestBreakouts), and umoci's, in every mode and by
 * both providers of system calls: everything lands inside the root, and the canary beside it is untouched.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { dir, file, hard, layer, sym, wh } from '../../support/layer-builder.ts';
import { needs } from '../../support/needs.ts';
import type { LayerEntry } from '../../support/reference-tree.ts';
import { Arena, OTHER_OWNER, PROVIDERS } from './hostile.ts';

interface Case {
  /** The entries of each layer. `out`: the canary's directory. */
  readonly layers: (out: string) => readonly (readonly LayerEntry[])[];
  readonly want?: (out: string) => readonly string[];
  readonly fails?: RegExp;
  /** The same entries, each in a layer of its own, need not give the same. */
  readonly onlyTogether?: true;
}

const ETC = dir('etc', { mode: 0o770 });
const PASSWD = [ETC, file('etc/passwd', 'inside'), dir('breakouts')];
const UNBROKEN = ['etc/', 'etc/unbroken=u'];
const LINKED = ['breakouts/', 'etc/', 'etc/passwd=/breakouts/mypasswd'];

/** A file through a symlink to `etc`, whatever way the symlink goes. */
function through(...links: LayerEntry[]): Case['layers'] {
  return () => [[ETC, ...links, file('/localetc/unbroken', 'u')]];
}

/** A hard link by way of a symlink to `etc`. */
function linkBy(target: string): Pick<Case, 'layers' | 'want'> {
  return {
    layers: () => [
      [...PASSWD, sym('breakouts/d', target), hard('breakouts/mypasswd', '/breakouts/d/passwd')],
    ],
    want: () => ['breakouts/', `breakouts/d->${target}`, 'breakouts/mypasswd=inside', ...LINKED.slice(1)],
  };
}

function linkTo(target: string): Pick<Case, 'layers' | 'want'> {
  return {
    layers: () => [[...PASSWD, hard('breakouts/mypasswd', target)]],
    want: () => ['breakouts/', 'breakouts/mypasswd=inside', ...LINKED.slice(1)],
  };
}

const badWhiteout = (name: string): Case => ({
  layers: () => [[ETC, file(name, '')]],
  fails: /invalid whiteout name/,
});

const CONTAINERD: Record<string, Case> = {
  SymlinkAbsolute: { layers: through(sym('localetc', '/etc')), want: () => [...UNBROKEN, 'localetc->/etc'] },
  SymlinkUpAndOut: {
    layers: through(dir('dummy'), sym('localetc', '/dummy/../etc')),
    want: () => ['dummy/', ...UNBROKEN, 'localetc->/dummy/../etc'],
  },
  SymlinkMultipleAbsolute: {
    layers: through(dir('dummy'), sym('dummy/etc', '/etc'), sym('localetc', '/dummy/etc')),
    want: () => ['dummy/', 'dummy/etc->/etc', ...UNBROKEN, 'localetc->/dummy/etc'],
  },
  SymlinkMultipleRelative: {
    layers: through(dir('dummy'), sym('dummy/etc', '../etc'), sym('localetc', './dummy/etc')),
    want: () => ['dummy/', 'dummy/etc->../etc', ...UNBROKEN, 'localetc->./dummy/etc'],
  },
  SymlinkEmptyFile: {
    layers: () => [[ETC, file('etc/emptied', 'full'), sym('localetc', '/etc'), file('localetc/emptied', '')]],
    want: () => ['etc/', 'etc/emptied=', 'localetc->/etc'],
  },
  HardlinkRelative: linkBy('../etc'),
  HardlinkDownAndOut: linkBy('downandout/../../etc'),
  HardlinkAbsolute: linkBy('/etc'),
  HardlinkRelativeLong: linkBy('../../../../../../../etc'),
  HardlinkRelativeUpAndOut: linkBy('upandout/../../../etc'),
  HardlinkDirectRelative: linkTo('../../../../../etc/passwd'),
  HardlinkDirectAbsolute: linkTo('/etc/passwd'),
  SymlinkParentDirectory: {
    layers: (out) => [[ETC, sym('..', out), sym('localetc', '/etc'), file('localetc/unbroken', 'u')]],
    want: () => [...UNBROKEN, 'localetc->/etc'],
  },
  SymlinkEmptyFilename: {
    layers: (out) => [[ETC, sym('', out), sym('localetc', '/etc'), file('localetc/unbroken', 'u')]],
    want: () => [...UNBROKEN, 'localetc->/etc'],
  },
  SymlinkParentRelative: {
    layers: () => [[ETC, sym('localetc', '/etc'), dir('localetc/sub/..'), file('localetc/unbroken', 'u')]],
    want: () => ['etc/', 'localetc/', 'localetc/unbroken=u'],
  },
  SymlinkSlashEnded: {
    layers: through(sym('localetc/', '/etc')),
    want: () => [...UNBROKEN, 'localetc->/etc'],
  },
  SymlinkOverrideDirectory: {
    layers: through(dir('localetc'), file('localetc/gone', 'g'), sym('localetc', '/etc')),
    want: () => [...UNBROKEN, 'localetc->/etc'],
  },
  SymlinkOverrideDirectoryRelative: {
    layers: through(dir('localetc'), file('localetc/gone', 'g'), sym('localetc', '../../etc')),
    want: () => [...UNBROKEN, 'localetc->../../etc'],
  },
  DirectoryOverrideSymlink: {
    layers: through(sym('localetc', '/etc'), dir('localetc')),
    want: () => ['etc/', 'localetc/', 'localetc/unbroken=u'],
  },
  DirectoryOverrideSymlinkAndHardlink: {
    layers: () => [
      [
        ...PASSWD,
        sym('localetc', 'etc'),
        hard('breakouts/passwd', 'localetc/passwd'),
        dir('localetc'),
        file('breakouts/passwd', 'new'),
        file('localetc/passwd', 'newer'),
      ],
    ],
    want: () => [
      'breakouts/',
      'breakouts/passwd=new',
      'etc/',
      'etc/passwd=inside',
      'localetc/',
      'localetc/passwd=newer',
    ],
  },
  WhiteoutRootParent: badWhiteout('.wh...'),
  WhiteoutParent: badWhiteout('etc/.wh...'),
  WhiteoutRoot: badWhiteout('.wh..'),
  WhiteoutCurrentDirectory: badWhiteout('etc/.wh..'),
  WhiteoutSymlink: {
    layers: (out) => [
      [ETC, file('etc/whitedout', 'w'), sym('l', '/etc/whitedout'), sym('m', `${out}/whitedout`)],
      [wh('l'), wh('m')],
    ],
    want: () => ['etc/', 'etc/whitedout=w'],
    onlyTogether: true,
  },
  WhiteoutSymlinkPath: {
    layers: (out) => [
      [
        ETC,
        file('etc/whitedout', 'w'),
        sym('localetc', '/etc'),
        sym('far', out),
        sym('up', '../../../outside'),
      ],
      [wh('localetc/whitedout'), wh('far/whitedout'), wh('up/whitedout')],
    ],
    want: (out) => ['etc/', `far->${out}`, 'localetc->/etc', 'up->../../../outside'],
  },
  WhiteoutDirectoryName: {
    layers: () => [[ETC, file('.wh.etc/somefile', 's')]],
    want: () => ['.wh.etc/', '.wh.etc/somefile=s', 'etc/'],
  },
  WhiteoutDeadSymlinkParent: {
    layers: (out) => [[ETC, sym('passwd', `${out}/no-such`)], [wh('passwd/whitedout')]],
    want: (out) => ['etc/', `passwd->${out}/no-such`],
  },
  WhiteoutRelativePath: {
    layers: () => [[ETC, file('f', 'f')], [file('dne/../.wh.etc', '')]],
    want: () => ['f=f'],
  },
  SymlinkOverridePath: {
    layers: (out) => [
      [dir('lib'), sym('lib', '/'), dir('lib'), file('lib/canary', 'n'), sym('l2', out), dir('l2')],
    ],
    want: () => ['l2/', 'lib/', 'lib/canary=n'],
  },
  HardlinkSymlinkBeforeCreateTarget: {
    layers: () => [[ETC, sym('a', '/etc/target'), hard('h', 'a'), file('etc/target', 't')]],
    want: () => ['a->/etc/target', 'etc/', 'etc/target=t', 'h=/a'],
  },
  HardlinkSymlinkRelative: {
    layers: () => [[...PASSWD, sym('a', '../../../outside/etc/passwd'), hard('h', './a'), file('h', 'new')]],
    want: () => ['a->../../../outside/etc/passwd', 'breakouts/', 'etc/', 'etc/passwd=inside', 'h=new'],
  },
  HardlinkSymlinkAbsolute: {
    layers: (out) => [[...PASSWD, sym('a', `${out}/etc/passwd`), hard('h', '/a'), file('h', 'new')]],
    want: (out) => [`a->${out}/etc/passwd`, 'breakouts/', 'etc/', 'etc/passwd=inside', 'h=new'],
  },
  HardlinkSymlinkChmod: {
    layers: (out) => [
      [sym('a', `${out}/canary`), hard('h', 'a', { mode: 0o777, mtime: '5', uid: OTHER_OWNER })],
    ],
    want: (out) => [`a->${out}/canary`, 'h=/a'],
  },
};

const UMOCI: Record<string, Case> = {
  'CVE-2021-29136: the root itself becomes a symlink': {
    layers: (out) => [
      [sym('.', out), sym('/', out), sym('/.', out), sym('./', out), sym('a/..', out), file('canary', 'n')],
    ],
    want: () => ['canary=n'],
  },
  'the root as a file, a hard link, a fifo': {
    layers: () => [[file('.', 'x'), hard('/', 'f'), file('f', 'f'), hard('.', 'f')]],
    want: () => ['f=f'],
    onlyTogether: true,
  },
  'a whiteout and an opaque mark through a symlink that leads out': {
    layers: (out) => [[sym('l', out)], [file('l/.wh.canary', ''), file('l/.wh..wh..opq', '')]],
    want: (out) => [`l->${out}`],
  },
  'a parent that is a symlink loop': {
    layers: () => [[sym('a', 'b'), sym('b', 'a'), file('a/x', 'x')]],
    fails: /too many symbolic links/,
  },
  'a hard link to a symlink that leads out, then written and described through': {
    layers: (out) => [
      [
        sym('s', `${out}/canary`),
        hard('h', 's'),
        file('h/x', 'x'),
        sym('t', out),
        hard('u', 't'),
        file('u/canary', 'n'),
      ],
    ],
  },
  'absolute and upward names': {
    layers: (out) => [[file(`${out}/canary`, 'n'), file('../../../outside/canary', 'n'), dir('/../x')]],
  },
  'xattrs of a symlink that leads out': {
    layers: (out) => [[sym('l', `${out}/canary`, { xattrs: { 'user.canary': 'changed' }, mtime: '7' })]],
    want: (out) => [`l->${out}/canary`],
  },
};

for (const provider of PROVIDERS) {
  describe(`breakouts (${provider})`, {
    skip: needs({ root: true, tools: ['mount', 'umount', 'setfattr'] }),
  }, () => {
    let arena: Arena;
    before(() => {
      arena = new Arena(provider);
    });
    after(() => arena.close());

    for (const [title, cases] of [
      ['', CONTAINERD],
      ['umoci: ', UMOCI],
    ] as const) {
      for (const [name, one] of Object.entries(cases))
        test(`${title}${name}`, () => check(arena, one, provider));
    }
  });
}

test("all of containerd's are here", () => assert.equal(Object.keys(CONTAINERD).length, 34));

async function check(
  arena: Arena,
  { layers, want, fails, onlyTogether }: Case,
  provider: string,
): Promise<void> {
  const given = layers(arena.outside);
  const apart = given.flat().map((entry) => layer(entry));
  for (const stack of [
    given.map((entries) => layer(...entries)),
    ...(onlyTogether || provider !== PROVIDERS[0] ? [] : [apart]),
  ]) {
    const [first, ...others] = await arena.run(stack);
    assert.ok(first);
    for (const { error, lines } of [first, ...others]) {
      if (fails !== undefined) assert.match(error ?? '', new RegExp(`^InvalidArgument: .*${fails.source}`));
      else assert.equal(error, undefined);
      if (want !== undefined) assert.deepEqual(lines, [...want(arena.outside)].sort());
      assert.deepEqual(lines, first.lines);
    }
  }
}
