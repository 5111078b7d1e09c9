/** Lists the files of an image, straight from its registry: list-files.ts REF [PATH] */
import process from 'node:process';
import { files } from 'hawser';

const [reference = 'docker.io/library/alpine:3.20', path = '/'] = process.argv.slice(2);

for await (const file of files(reference, { path })) {
  const mode = file.mode.toString(8).padStart(4, '0');
  const target = file.type === 'symlink' ? ` -> ${file.target}` : '';
  console.log(`${mode} ${file.uid}:${file.gid} ${String(file.size).padStart(9)} ${file.path}${target}`);
}
