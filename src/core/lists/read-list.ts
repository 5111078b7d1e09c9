/** Lists of images in the forms that people have; which form is told by the content. */
import { HawserError, messageOf } from '../errors.ts';
import { checkAliases } from './aliases.ts';
import { addDocument } from './documents.ts';
import { type ImageList, ListBuilder } from './list.ts';
import { addLock, isLock } from './lock.ts';

/** Bytes of a list. The largest known are rendered charts with their resource definitions. */
export const MAX_LIST_BYTES: number = 8 << 20;

/** The first line of a YAML or JSON document: a mark, a bracket, an item, or a key with its colon. No reference begins so. */
const STRUCTURED = /^(?:---|%|[[{]|-\s|(?:"[^"]*"|'[^']*'|[^\s"'#]+):(?:\s|$))/;

/**
 * Reads one reference a line, `#` for comments; or YAML and JSON: skopeo sync, regsync, hauler, Kubernetes manifests (`helm
 * template`), and hawser's own lock. A part that cannot be read is an error of the list, and the rest is read. `source` names the list in
 * messages. Throws InvalidArgument or ResourceExhausted for a list of which nothing can be read.
 */
export async function readList(text: string, source: string): Promise<ImageList> {
  const list = new ListBuilder();
  const lines = text.replace(/^\ufeff/, '').split(/\r?\n/);
  const first = lines.find((line) => plain(line) !== '')?.trim() ?? '';
  if (STRUCTURED.test(first)) await addStructured(list, text, source);
  else addLines(list, lines, source);
  return list.done();
}

/** Without comment and surrounding blanks. In a reference a `#` cannot stand, but only after a blank one begins a comment. */
function plain(line: string): string {
  return line.replace(/(?:^|\s)#.*$/, '').trim();
}

function addLines(list: ListBuilder, lines: readonly string[], source: string): void {
  for (const [index, line] of lines.entries()) {
    const text = plain(line);
    const at = `${source}:${index + 1}`;
    if (text === '') continue;
    if (/\s/.test(text)) list.refuse(at, 'more than one word', 'Write one reference a line');
    else list.add(text, at);
  }
}

async function addStructured(list: ListBuilder, text: string, source: string): Promise<void> {
  const documents = await parseDocuments(text, source);
  for (const [index, document] of documents.entries()) {
    const at = documents.length === 1 ? source : `${source}, document ${index + 1}`;
    if (isLock(document)) addLock(list, document, at);
    else addDocument(list, document, at);
  }
}

/** Open brackets that may stand in a text without their closing ones: the parser's time grows with the square of its depth. */
const MAX_OPEN = 10_000;

function isDeep(text: string): boolean {
  let open = 0;
  for (const [bracket] of text.matchAll(/[[{}\]]/g)) {
    open = bracket === '[' || bracket === '{' ? open + 1 : Math.max(0, open - 1);
    if (open > MAX_OPEN) return true;
  }
  return false;
}

/** Mappings and lists of the documents that are not empty. */
async function parseDocuments(text: string, source: string): Promise<unknown[]> {
  if (isDeep(text)) throw unreadable(source, 'it is nested too deeply');
  const yaml = await import('yaml');
  const found: unknown[] = [];
  try {
    // With a check of keys the time would grow with their square; regsync allows the same key twice.
    for (const document of yaml.parseAllDocuments(text, { uniqueKeys: false, logLevel: 'silent' })) {
      const [error] = document.errors;
      if (error !== undefined) throw error;
      checkAliases(yaml, document.contents);
      // The parser's own check takes cubic time.
      const value: unknown = document.toJS({ maxAliasCount: -1 });
      if (value !== null && value !== undefined) found.push(value);
    }
  } catch (err) {
    throw unreadable(source, whyOf(err), err);
  }
  return found;
}

/** The parser's errors tell the line in their first line. Too deep a document overflows the stack. */
function whyOf(err: unknown): string {
  if ((err as Error).name === 'RangeError') return 'it is nested too deeply';
  return messageOf(err).split('\n', 1)[0] ?? '';
}

function unreadable(source: string, why: string, cause?: unknown): HawserError {
  return new HawserError('InvalidArgument', `Cannot read the list ${source}: ${why}`, {
    cause,
    hint: 'A list has one reference a line, or is YAML or JSON in a form that hawser help pull names',
  });
}
