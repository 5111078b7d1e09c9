/** The URL of the worker's module. The build replaces this module by one that carries the worker as a data: URL. */
export function workerUrl(): URL {
  return new URL(import.meta.url.endsWith('.ts') ? './worker.ts' : './worker.js', import.meta.url);
}
