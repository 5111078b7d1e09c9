import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Platform } from '../../../src/core/oci/descriptor.ts';
import { platformText } from '../../../src/core/platforms/format.ts';
import { any, type Matcher, only } from '../../../src/core/platforms/match.ts';
import { parsePlatform } from '../../../src/core/platforms/parse.ts';
import { rank } from '../../../src/core/platforms/pick.ts';

const host: Platform = { os: 'linux', architecture: 'amd64' };
const p = (text: string): Platform => parsePlatform(text, host);

function check(name: string, matcher: Matcher, yes: string, no: string): void {
  test(name, () => {
    for (const text of yes.split(' ').filter(Boolean))
      assert.ok(matcher.match(p(text)), `${text} should match`);
    for (const text of no.split(' ').filter(Boolean))
      assert.ok(!matcher.match(p(text)), `${text} should not match`);
  });
}

check(
  'only amd64',
  only(p('linux/amd64')),
  'linux/amd64 linux/amd64/v1 linux/386 linux/x86_64',
  'linux/amd64/v2 linux/arm64 windows/amd64',
);
check(
  'only amd64/v3',
  only(p('linux/amd64/v3')),
  'linux/amd64/v3 linux/amd64/v2 linux/amd64 linux/amd64/v1 linux/386',
  'linux/amd64/v4',
);
check('only 386', only(p('linux/386')), 'linux/386 linux/i386', 'linux/amd64');
check('only arm/v6', only(p('linux/arm/v6')), 'linux/arm/v5 linux/arm/v6', 'linux/arm/v7 linux/arm');
check(
  'only arm/v7',
  only(p('linux/arm/v7')),
  'linux/arm/v5 linux/arm/v6 linux/arm/v7 linux/arm linux/armhf',
  'linux/arm/v8 linux/arm64',
);
check('only arm/v5', only(p('linux/arm/v5')), 'linux/arm/v5', 'linux/arm/v4 linux/arm/v6');
check(
  'only arm64',
  only(p('linux/arm64')),
  'linux/arm64 linux/arm64/v8 linux/arm/v8 linux/arm/v7 linux/arm/v6 linux/arm/v5',
  'linux/arm64/v8.1 linux/arm64/v9 linux/arm/v4',
);
check(
  'only arm64/v8.2',
  only(p('linux/arm64/v8.2')),
  'linux/arm64/v8.2 linux/arm64/v8.1 linux/arm64/v8 linux/arm64 linux/arm/v7',
  'linux/arm64/v8.3 linux/arm64/v9',
);
check(
  'only arm64/v9',
  only(p('linux/arm64/v9')),
  'linux/arm64/v9 linux/arm64/v8.5 linux/arm64 linux/arm/v5',
  'linux/arm64/v8.6 linux/arm64/v9.1',
);
check(
  'only arm64/v9.7',
  only(p('linux/arm64/v9.7')),
  'linux/arm64/v9.7 linux/arm64/v9 linux/arm64/v8.9',
  'linux/arm64/v9.8',
);
check(
  'only arm64/v9.7, what it falls back to',
  only(p('linux/arm64/v9.7')),
  'linux/arm64/v8.9 linux/arm64/v8 linux/arm64 linux/arm/v8 linux/arm/v5',
  'linux/arm64/v8.10',
);
check(
  'only arm64/v10, which is not known',
  only(p('linux/arm64/v10')),
  '',
  'linux/arm64/v10 linux/arm64 linux/arm/v7',
);
check(
  'only arm64/v8.10, which is not known',
  only(p('linux/arm64/v8.10')),
  '',
  'linux/arm64/v8.10 linux/arm64',
);
check('only ppc64le', only(p('linux/ppc64le')), 'linux/ppc64le', 'linux/ppc64le/power8');
check('only riscv64', only(p('linux/riscv64')), 'linux/riscv64', 'linux/riscv64/rva20u64');
check('any amd64', any(p('linux/amd64')), 'linux/amd64', 'linux/386 unknown/unknown');
check('any of two', any(p('linux/amd64'), p('linux/arm64')), 'linux/amd64 linux/arm64', 'linux/arm/v7');
check('any of none', any(), '', 'linux/amd64');
check(
  'a Linux version does not count, features do',
  only(p('linux/amd64')),
  'linux(5.10)/amd64',
  'linux(+erofs)/amd64',
);
check(
  'features wanted',
  only(p('linux(+erofs)/amd64')),
  'linux/amd64 linux(+erofs)/amd64',
  'linux(+erofs+x)/amd64',
);

const win = (build: string): Matcher => only(p(`windows(10.0.${build})/amd64`));
check(
  'Windows 17763',
  win('17763'),
  'windows(10.0.17763)/amd64 windows(10.0.17763.1)/amd64 windows(10.0.17763.999)/amd64 windows/amd64 windows(10.0.17763+win32k)/amd64',
  'windows(10.0.20348)/amd64 windows(10.1.17763)/amd64 windows(10.0)/amd64 windows(junk)/amd64 windows(10.0.17762)/amd64',
);
check(
  'Windows 20348',
  win('20348.5'),
  'windows(10.0.20348)/amd64',
  'windows(10.0.17763)/amd64 windows(10.0.22621)/amd64',
);
check(
  'Windows 25398',
  win('25398'),
  'windows(10.0.20348)/amd64 windows(10.0.25398)/amd64',
  'windows(10.0.17763)/amd64 windows(10.0.26100)/amd64',
);
check(
  'Windows 26100',
  win('26100'),
  'windows(10.0.20348)/amd64 windows(10.0.25398)/amd64 windows(10.0.26100)/amd64',
  'windows(10.0.26200)/amd64',
);
check(
  'Windows 26200',
  win('26200'),
  'windows(10.0.20348)/amd64 windows(10.0.26100)/amd64',
  'windows(10.0.20347)/amd64',
);
check(
  'Windows of any version',
  only(p('windows/amd64')),
  'windows(10.0.17763)/amd64 windows(junk)/amd64',
  'linux/amd64',
);

function picks(name: string, entries: string, matcher: Matcher, best: string | undefined): void {
  test(`of [${entries}] ${name} picks ${best ?? 'none'}`, () => {
    const candidates = entries.split(' ').map((text, i) => ({ i, platform: p(text) }));
    const picked = rank(candidates, matcher)[0];
    assert.equal(picked && platformText(picked.platform), best);
  });
}

picks('amd64', 'linux/386 linux/amd64', only(p('linux/amd64')), 'linux/amd64');
picks('arm64', 'linux/arm/v5 linux/arm/v7 linux/arm64/v8', only(p('linux/arm64')), 'linux/arm64/v8');
picks('arm64', 'linux/arm/v6 linux/arm/v7', only(p('linux/arm64')), 'linux/arm/v7');
picks('amd64/v4', 'linux/amd64 linux/amd64/v3 linux/amd64/v2', only(p('linux/amd64/v4')), 'linux/amd64/v3');
picks(
  'arm64/v9',
  'linux/arm64 linux/arm64/v8.5 linux/arm64/v8.6',
  only(p('linux/arm64/v9')),
  'linux/arm64/v8.5',
);
picks('s390x', 'linux/386 linux/amd64', only(p('linux/s390x')), undefined);
picks('any', 'linux/amd64 linux/arm64', any(p('linux/arm64'), p('linux/amd64')), 'linux/amd64');
picks(
  'more features',
  'linux/amd64 linux(+erofs)/amd64',
  only(p('linux(+erofs)/amd64')),
  'linux(+erofs)/amd64',
);

// containerd on Windows prefers the later version; that is its default's business, not that of a platform asked for.
picks(
  'a Windows',
  'windows(10.0.20348)/amd64 windows(10.0.25398)/amd64',
  win('26100'),
  'windows(10.0.20348)/amd64',
);

test('of two equal ones the first is picked, one without a platform last', () => {
  const candidates = [
    { i: 0 },
    { i: 1, platform: p('linux/amd64') },
    { i: 2, platform: p('linux/amd64') },
    { i: 3, platform: p('linux/s390x') },
  ];
  const order = rank(candidates, only(p('linux/amd64'))).map((one) => one.i);
  assert.deepEqual(order, [1, 2, 0]);
  assert.equal(rank(candidates.slice(0, 1), only(p('linux/amd64')))[0]?.i, 0);
  assert.deepEqual(rank([], only(host)), []);
});

test('compare is antisymmetric and puts what does not match last', () => {
  const texts =
    'linux/amd64 linux/386 linux/amd64/v2 linux/arm64 unknown/unknown linux(+a)/amd64 windows/amd64'.split(
      ' ',
    );
  for (const matcher of [only(p('linux(+a)/amd64/v2')), any(p('linux/386'))]) {
    for (const a of texts) {
      for (const b of texts) {
        const [x, y] = [p(a), p(b)];
        assert.equal(Math.sign(matcher.compare(x, y)) + Math.sign(matcher.compare(y, x)), 0, `${a} ${b}`);
        if (matcher.match(x) && !matcher.match(y)) assert.ok(matcher.compare(x, y) < 0, `${a} before ${b}`);
      }
    }
  }
});
