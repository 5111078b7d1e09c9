import { JSON_REPORT } from '../grammar/verify-flags.ts';
import { recovered } from '../session/recovering.ts';
import { type Command, command } from './command.ts';

export const recover: Command = command({
  path: ['recover'],
  args: [],
  summary: 'make the records of a lost or damaged database again, from what is in content/',
  details: [
    'Reads content/index.json, hashes the blobs of its images, and records those that are right, in the namespace of',
    '--namespace, for the index tells none. A damaged hawser.db is renamed, never removed. Nothing is fetched, and nothing is',
    'unpacked: hawser unpack REF does that. A database that is whole stays as it is. Snapshots are not recorded again: their',
    'directories, with what was written into them, stay until you remove the file that the report names.',
    '\nExample:\n  hawser recover --root /var/lib/hawser',
  ].join('\n'),
  flags: [JSON_REPORT],
  run: async (context, input) => {
    const report = await recovered(context);
    return { view: { type: 'recover', report, json: input.get(JSON_REPORT) } };
  },
});
