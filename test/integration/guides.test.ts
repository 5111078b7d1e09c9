/** The commands of README.md and of the guides in docs/, as they stand there, page by page. What other tests run is left to them. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { hash } from 'bcryptjs';
import { makeCerts } from '../registry/certs.ts';
import { startContainerd } from '../support/containerd.ts';
import { describe as explain } from '../support/exec.ts';
import { type Given, runPage, WORLD_TOOLS } from '../support/guide-world.ts';
import { oneFile } from '../support/hawser.ts';
import { needs } from '../support/needs.ts';
import { GUIDES_TEST, isCommand, PAGES, shellBlocks } from '../support/readme.ts';
import { repository } from '../support/runtimes.ts';

/** `hawser.mjs`; the sources where that is not built. */
const program = oneFile.skip === false ? oneFile.file : undefined;
const ONE_FILE: string = `import '${pathToFileURL(program ?? join(repository, 'src/entry/hawser.ts')).href}';\n`;

const CHART = `apiVersion: v1
kind: Pod
metadata: { name: app }
spec: { containers: [{ name: app, image: "ghcr.io/org/app:1.2" }] }
`;

/** What a page begins with. */
const GIVEN: Readonly<Record<string, () => Promise<Given & { readonly close?: () => Promise<void> }>>> = {
  'docs/ci.md': async () => ({
    env: { TOKEN: 'secret' },
    programs: { helm: `cat <<'END'\n${CHART}END` },
  }),
  'docs/containerd.md': async () => {
    const { socket, close } = await startContainerd();
    return { sockets: { '/run/containerd/containerd.sock': socket }, close };
  },
  'docs/install.md': async () => ({ files: { 'hawser.mjs': ONE_FILE } }),
  'docs/registries.md': async () => ({ env: { TOKEN: 'secret' } }),
  'docs/runtimes.md': async () => ({ files: { 'hawser.mjs': ONE_FILE } }),
  'docs/serve.md': async () => {
    const { cert, key } = makeCerts();
    return { files: { 'cert.pem': cert, 'key.pem': key, users: `name:${await hash('secret', 4)}\n` } };
  },
};

describe('the commands of the guides', {
  skip: needs({ root: true, tools: [...WORLD_TOOLS, 'containerd'] }),
}, () => {
  for (const page of PAGES) {
    const blocks = shellBlocks(page, GUIDES_TEST);
    if (!blocks.some(({ lines }) => lines.some(isCommand))) continue;
    test(page, async () => {
      const given = await GIVEN[page]?.();
      try {
        const done = await runPage(page, blocks, given);
        assert.equal(done.code, 0, explain(done));
      } finally {
        await given?.close?.();
      }
    });
  }
});
