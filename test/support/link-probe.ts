/** Opens each path that is given, as the store opens its files and a worker its blobs, and prints how that ended. */
import process from 'node:process';
import { isKind } from '../../src/core/errors.ts';
import { createFileSystem } from '../../src/platform/files/file-system.ts';
import { openBlob } from '../../src/platform/threads/blob-reader.ts';

const fs = createFileSystem();

async function read(path: string): Promise<void> {
  await openBlob({ blob: path, blobSize: 1, growing: null }).getReader().read();
}

async function open(path: string): Promise<void> {
  await (await fs.open(path, 'write')).close();
}

async function outcome(work: Promise<void>): Promise<string> {
  try {
    await work;
    return 'opened';
  } catch (err) {
    if (isKind(err, 'NotFound')) return 'absent';
    return isKind(err, 'FailedPrecondition') ? 'refused' : String(err);
  }
}

for (const path of process.argv.slice(2)) console.log(await outcome(open(path)), await outcome(read(path)));
