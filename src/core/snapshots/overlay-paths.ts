/** The directories that the options of an overlay name with one of the keys, in order, unescaped. */
export function overlayPaths(options: readonly string[], ...keys: string[]): string[] {
  return options
    .map((option) => option.split(/=(.*)/s, 2))
    .filter(([key = '']) => keys.includes(key))
    .flatMap(([, value = '']) => value.match(/(?:\\.|[^:\\])+/gs) ?? [])
    .map((path) => path.replace(/\\(.)/gs, '$1'));
}

/** Whether this is how a layer is named that an overlay of many layers was given by its open descriptor: the name tells nothing. */
export function isNameless(path: string): boolean {
  return /^\/proc\/(?:self|\d+)\/fd\/\d+$/.test(path);
}
