/** Text of help in lines that fit: words are never parted, and what is longer than a line stands in one of its own. */

/** Words of one paragraph in lines of at most `width` columns. */
export function folded(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(/\s+/)) {
    if (line !== '' && line.length + 1 + word.length > width) {
      lines.push(line);
      line = word;
    } else line = line === '' ? word : `${line} ${word}`;
  }
  return [...lines, line];
}

/** Paragraphs, which end at an empty line or at an indented one. Those are kept: they can be copied. */
export function foldedProse(text: string, width: number): string {
  const lines: string[] = [];
  let open: string[] = [];
  const close = () => {
    if (open.length > 0) lines.push(...folded(open.join(' '), width));
    open = [];
  };
  for (const line of text.split('\n')) {
    if (line !== '' && !line.startsWith(' ')) {
      open.push(line);
      continue;
    }
    close();
    lines.push(line);
  }
  close();
  return lines.join('\n');
}

const INDENT = 2;
const GAP = 2;
/** The share of the width for names; longer ones have their text below. */
const NAMES = 0.45;
/** The least width that is enough for two columns. */
const TWO_COLUMNS = 60;

/** Names, and beside them what they stand for; below them where the names are long. */
export function foldedRows(rows: readonly (readonly [name: string, about: string])[], width: number): string {
  const most = Math.floor(width * NAMES) - INDENT - GAP;
  const beside = rows.map(([name]) => name.length).filter((length) => length <= most);
  const isTable = width >= TWO_COLUMNS && beside.length * 2 >= rows.length;
  const column = isTable ? INDENT + Math.max(0, ...beside) + GAP : 3 * INDENT;
  const indent = ' '.repeat(column);
  const row = ([name, about]: readonly [string, string]): string => {
    const lines = folded(about, width - column).map((line) => `${indent}${line}\n`);
    if (isTable && name.length <= most) return `  ${name}`.padEnd(column) + lines.join('').slice(column);
    const names = folded(name, width - INDENT).map((line) => `  ${line}\n`);
    return [...names, ...lines].join('');
  };
  return rows.map(row).join('');
}
