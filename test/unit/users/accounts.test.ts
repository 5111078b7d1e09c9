/** The user that an image names, from the accounts files of the image itself (H28). */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Kind, kindOf } from '../../../src/core/errors.ts';
import { type Accounts, findUser, MAX_ACCOUNTS_BYTES } from '../../../src/core/users/accounts.ts';

const PASSWD = `root:x:0:0:root:/root:/bin/sh
# a comment
+::::::
www:x:33:34:www:/var/www:/usr/sbin/nologin
1000:x:4:4::/:
app:x:1000:1001::/home/app:/bin/sh\r
big:x:4294967296:0::/:
minus:x:-1:0::/:
short:x
`;
const GROUP = `root:x:0:
www:x:34:
adm:x:4:www,app
tty:x:5:app
dup:x:5:app
own:x:1001:app
odd:x:zero:
wheel:x:10:root
`;

const accounts = (passwd?: string, group?: string): Accounts => {
  const bytes = (text?: string) => (text === undefined ? undefined : new TextEncoder().encode(text));
  return { passwd: bytes(passwd), group: bytes(group) };
};
const ofDebian = accounts(PASSWD, GROUP);
const user = (spec: string, from = ofDebian) => {
  const { uid, gid, additionalGids } = findUser(spec, from);
  return [uid, gid, ...additionalGids].join(' ');
};

test('names are looked up, with the groups they are members of', () => {
  assert.equal(user('www'), '33 34 4');
  assert.equal(user('app'), '1000 1001 4 5');
  assert.equal(user('root'), '0 0 10');
});

test('no user is root, with the groups that root is a member of', () => {
  assert.equal(user(''), '0 0 10');
  assert.equal(user('', accounts()), '0 0');
  assert.equal(user('', accounts(undefined, GROUP)), '0 0 10');
  assert.equal(user('', accounts('toor:x:0:7::/:\n', GROUP)), '0 7');
});

test('numbers are taken as they are; their groups are those of the account that has the number', () => {
  assert.equal(user('1000'), '1000 1001 4 5');
  assert.equal(user('33'), '33 34 4');
  assert.equal(user('0'), '0 0 10');
  assert.equal(user('4711'), '4711 0');
  assert.equal(user('4711', accounts()), '4711 0');
  assert.equal(user('2147483647:2147483647'), '2147483647 2147483647');
});

test('a group that is given is the only one', () => {
  assert.equal(user('app:tty'), '1000 5');
  assert.equal(user('app:99'), '1000 99');
  assert.equal(user('4711:adm'), '4711 4');
  assert.equal(user(':adm'), '0 4');
});

const refused: readonly (readonly [spec: string, kind: Kind, message: RegExp, from?: Accounts])[] = [
  ['nobody', 'NotFound', /no user "nobody"/],
  ['nobody', 'NotFound', /no user "nobody"/, accounts()],
  ['app:none', 'NotFound', /no group "none"/],
  ['4294967296', 'InvalidArgument', /0 to 2147483647/],
  ['4294967295', 'InvalidArgument', /0 to 2147483647/],
  ['2147483648:0', 'InvalidArgument', /0 to 2147483647/],
  ['0:4294967296', 'InvalidArgument', /0 to 2147483647/],
  ['99999999999999999999999', 'InvalidArgument', /0 to 2147483647/],
  ['big', 'InvalidArgument', /0 to 2147483647/],
  ['minus', 'InvalidArgument', /no valid id for "minus"/],
  ['short', 'InvalidArgument', /no valid id for "short"/],
  ['app:odd', 'InvalidArgument', /no valid id for "odd"/],
  ['-1', 'NotFound', /no user "-1"/],
  [' 0', 'NotFound', /no user " 0"/],
  ['0x0', 'NotFound', /no user "0x0"/],
  ['1e3', 'NotFound', /no user "1e3"/],
];
for (const [spec, kind, message, from] of refused) {
  test(`${JSON.stringify(spec)} is ${kind} (H28)`, () => {
    assert.throws(
      () => findUser(spec, from ?? ofDebian),
      (err) => {
        assert.equal(kindOf(err), kind, String(err));
        assert.match((err as Error).message, message);
        return true;
      },
    );
  });
}

test('a huge file, a huge line and a user in very many groups are refused or passed over (H28)', () => {
  const huge = { passwd: new Uint8Array(MAX_ACCOUNTS_BYTES + 1), group: undefined };
  assert.throws(() => findUser('app', huge), /more than 4194304 bytes/);
  const long = `${'x'.repeat(2 << 20)}:x:1:1\n${PASSWD}`;
  assert.equal(user('app', accounts(long)), '1000 1001');
  const many = Array.from({ length: 1026 }, (_, i) => `g${i}:x:${i}:app\n`).join('');
  assert.throws(() => findUser('app', accounts(PASSWD, many)), /more than 1024 groups/);
});
