/** What decides on images now, as a text that differs once any of that has changed. */
import { messageOf } from '../errors.ts';
import type { Call } from '../ports/call.ts';
import { choosePolicy, type PolicyChoice, type PolicyParts } from './choose-policy.ts';
import { MAX_FILE } from './material.ts';

/** The policy that holds, and the keys and authorities that it names. What cannot be read is told as such: a judge says what follows. */
export async function rulesText(parts: PolicyParts, choice: PolicyChoice, call: Call): Promise<string> {
  const paths = new Set<string>();
  const texts: string[] = [];
  const note = (key: string, value: unknown): unknown => {
    if (key === 'path' && typeof value === 'string') paths.add(value);
    return value;
  };
  const add = async (read: () => Promise<string>): Promise<void> => {
    try {
      texts.push(await read());
    } catch (err) {
      call.signal?.throwIfAborted();
      texts.push(messageOf(err));
    }
  };
  await add(async () => {
    const { policy } = await choosePolicy(parts, choice);
    return JSON.stringify(policy && [policy.name, policy.fallback, [...policy.scopes]], note) ?? '';
  });
  for (const path of paths)
    await add(async () => new TextDecoder('latin1').decode(await parts.fs.readFile(path, MAX_FILE, call)));
  return JSON.stringify(texts);
}
