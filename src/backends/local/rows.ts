/** Typed values of SQLite rows. A value of another type means that the file is damaged or not ours: DataLoss. */
import { HawserError } from '../../core/errors.ts';
import { type Digest, isDigest } from '../../core/oci/digest.ts';
import type { Row } from '../../core/ports/database.ts';

function damaged(column: string): HawserError {
  return new HawserError(
    'DataLoss',
    `Cannot read the store's database: column ${column} has the wrong type`,
    {
      hint: 'The file hawser.db may be damaged',
    },
  );
}

export function text(row: Row, column: string): string {
  const value = row[column];
  if (typeof value !== 'string') throw damaged(column);
  return value;
}

export function number(row: Row, column: string): number {
  const value = row[column];
  if (typeof value === 'number') return value;
  if (typeof value === 'bigint') return Number(value);
  throw damaged(column);
}

/** The digest that the record of `what` names. */
export function digestIn(row: Row, what: string): Digest {
  const digest = text(row, 'digest');
  if (isDigest(digest)) return digest;
  throw new HawserError('DataLoss', `The record of ${what} is damaged: it names no digest`, {
    hint: 'hawser recover makes the records again from what is in content/',
  });
}

export function optionalText(row: Row, column: string): string | undefined {
  return row[column] === null ? undefined : text(row, column);
}

export function optionalNumber(row: Row, column: string): number | undefined {
  return row[column] === null ? undefined : number(row, column);
}
