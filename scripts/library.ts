/** The library as npm publishes it: the modules that its entries lead to, small, and the declarations that its types lead to. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { transform } from 'esbuild';

/** The last is started by its URL, so that no import leads to it; programs bundle the worker by the name `hawser/worker`. */
const ENTRIES: readonly string[] = ['src/mod', 'src/web', 'src/entry/worker'];
/** What programs import by a name of the package. */
const FACES: readonly string[] = ['src/mod.d.ts', 'src/web.d.ts'];
/** For programs that are compiled for an ECMAScript version without AsyncDisposable, which the declarations name. */
const DISPOSABLE = '/// <reference lib="esnext.disposable" />\n';
/** Of modules beside the importing one, in what tsc writes: `from './a.js'`, `import('./a.js')`. */
const RELATIVE = /(?<=\bfrom\s*|\bimport\s*\(?\s*)(['"])(\.{1,2}\/[^'"]+)\.[jt]s\1/g;

/** `compiled`: what tsc wrote. `target` is made. */
export async function writeLibrary(compiled: string, target: string): Promise<void> {
  const put = (path: string, text: string): void => {
    mkdirSync(dirname(join(target, path)), { recursive: true });
    writeFileSync(join(target, path), text);
  };
  for (const path of reached(compiled, '.js'))
    put(path, await small(readFileSync(join(compiled, path), 'utf8')));
  for (const path of reached(compiled, '.d.ts')) {
    // tsc leaves the names of the sources in declarations.
    const text = readFileSync(join(compiled, path), 'utf8').replaceAll(RELATIVE, "'$2.js'");
    put(path, FACES.includes(path) ? DISPOSABLE + text : text);
  }
}

/** The files with this extension that the entries lead to. */
function reached(dir: string, extension: string): Set<string> {
  const found = new Set<string>(ENTRIES.map((entry) => entry + extension));
  for (const path of found) {
    const text = readFileSync(join(dir, path), 'utf8');
    for (const [, , name = ''] of text.matchAll(RELATIVE)) found.add(join(dirname(path), name) + extension);
  }
  return found;
}

/** Without comments, in lines of about 120: Node prints the whole line of an error that nobody catches. Names stay, for stacks. */
async function small(code: string): Promise<string> {
  const shape = { format: 'esm', minifySyntax: true, minifyWhitespace: true, lineLimit: 120 } as const;
  return (await transform(code, shape)).code;
}
