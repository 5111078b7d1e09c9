/** Where the worker's module is. The bundler puts in place of this one a module that carries the worker as a data: URL. */
export function workerUrl(): URL {
  return new URL(import.meta.url.endsWith('.ts') ? './worker.ts' : './worker.js', import.meta.url);
}
