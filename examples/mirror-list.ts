/**
 * Copies the images of a list (one reference a line) to a registry, with all their platforms; what is there is not sent again. The copy of
 * ghcr.io/org/app:1 is PREFIX/ghcr.io/org/app:1, a port stands behind `_`: mirror-list.ts LIST HOST/PREFIX
 */
import { readFile } from 'node:fs/promises';
import process from 'node:process';
import { copy, exitCodeOf, hintOf, parseReference } from 'hawser';

const [list = '', prefix = ''] = process.argv.slice(2);
const lines = (await readFile(list, 'utf8')).split('\n').map((line) => line.trim());
const references = lines.filter((line) => line !== '' && !line.startsWith('#'));

// Ctrl-C ends the copy that runs, and the list.
const stop = new AbortController();
process.once('SIGINT', () => stop.abort(new Error('interrupted')));

for (const reference of references) {
  try {
    const { host, repository, tag, digest } = parseReference(reference);
    const version = tag === undefined && digest !== undefined ? `@${digest}` : `:${tag ?? 'latest'}`;
    const to = `${prefix}/${host.replace(':', '_')}/${repository}${version}`;
    const { target } = await copy(reference, to, { signal: stop.signal });
    console.log(`${reference} ${target.digest}`);
  } catch (err) {
    // The others are copied all the same.
    console.error(`${reference}: ${err instanceof Error ? err.message : err}`);
    const hint = hintOf(err);
    if (hint !== undefined) console.error(`hint: ${hint}`);
    process.exitCode = exitCodeOf(err);
    if (stop.signal.aborted) break;
  }
}
