/** What may become of a file's bytes on a disk. */
import fs from 'node:fs';

/** Changes the file's bytes in place; its mode stays. */
export function overwrite(path: string, change: (bytes: Buffer) => void): void {
  const { mode } = fs.statSync(path);
  const bytes = fs.readFileSync(path);
  change(bytes);
  fs.chmodSync(path, 0o600);
  fs.writeFileSync(path, bytes);
  fs.chmodSync(path, mode & 0o7777);
}

export const ROT: Readonly<Record<string, (path: string) => void>> = {
  'a flipped bit': (path) =>
    overwrite(path, (bytes) => bytes.writeUInt8(bytes.readUInt8(bytes.length >> 1) ^ 1, bytes.length >> 1)),
  'zeros of the same length': (path) => overwrite(path, (bytes) => bytes.fill(0)),
  'a shorter file': (path) => fs.truncateSync(path, fs.statSync(path).size - 1),
  'no file': (path) => fs.rmSync(path),
  'a directory': (path) => {
    fs.rmSync(path);
    fs.mkdirSync(path);
  },
  'a symlink': (path) => {
    fs.renameSync(path, `${path}.elsewhere`);
    fs.symlinkSync(`${path}.elsewhere`, path);
  },
};
