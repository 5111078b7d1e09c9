/** The tests hold in a checkout that other users cannot enter, as any below /root is. */
import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { exec, execOk } from '../support/exec.ts';
import { needs } from '../support/needs.ts';
import { AS_NOBODY, asNobody, NOBODY } from '../support/nobody.ts';
import { scratch } from '../support/scratch.ts';

const tools = ['setpriv', 'unshare', 'mount'];

for (const mode of [0o700, 0o755]) {
  test(`a program of a checkout of mode ${mode.toString(8)} runs as nobody`, {
    skip: needs({ root: true, tools }),
  }, async () => {
    await using dir = scratch();
    await execOk('chmod', ['755', dir.path]);
    const above = join(dir.path, 'above');
    const checkout = join(above, 'checkout');
    mkdirSync(checkout, { recursive: true });
    await execOk('chmod', [mode.toString(8), above]);
    const program = join(checkout, 'program');
    writeFileSync(program, '#!/bin/sh\nid -u\n', { mode: 0o755 });
    const [setpriv = '', ...flags] = AS_NOBODY;
    assert.equal((await exec(setpriv, [...flags, program])).code === 0, mode === 0o755);
    const [file, ...args] = asNobody([program], checkout);
    assert.equal((await execOk(file, args)).stdout, `${NOBODY}\n`);
  });
}
