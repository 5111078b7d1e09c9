/** Copies one file out of an image, which is not stored: copy-file.ts REF PATH FILE */
import { createWriteStream } from 'node:fs';
import { rename, rm } from 'node:fs/promises';
import process from 'node:process';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { exitCodeOf, hintOf, openContent } from 'hawser';

const [reference = '', path = '', file = ''] = process.argv.slice(2);
const part = `${file}.part`;

try {
  const content = await openContent(reference, path);
  // Whole and verified, or not there under its name.
  await pipeline(Readable.from(content), createWriteStream(part));
  await rename(part, file);
} catch (err) {
  await rm(part, { force: true });
  console.error(err instanceof Error ? err.message : err);
  console.error(hintOf(err) ?? '');
  process.exitCode = exitCodeOf(err);
}
