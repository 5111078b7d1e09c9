/** Errors of reading a file at a URL. */
import { readUrl } from '../../../../src/core/registry/url-file.ts';
import { bytesOf, fakeClock, scripted } from '../../../registry/client.ts';
import type { Row } from './kit.ts';
import type { Answer, Asking } from './scripts.ts';

const URL_OF_IT = new URL('https://files.test/images.tar?key=hunter2');
const CHANGED = /^Run the command again, when the file does not change any more$/;
const has = /^https:\/\/files\.test\/images\.tar\S* has changed, or its server gives another part of it$/;

/** The first answer ends early; the second is `next`. */
function reading(next: Answer, tries = 1): Asking {
  let count = 0;
  const { open } = scripted(() =>
    count++ === 0 ? { headers: { 'content-length': '10', etag: '"a"' }, body: 'abcd' } : next,
  );
  const deps = { clock: fakeClock(), userAgent: 'test', onWait: () => {}, retry: { tries } };
  return async () => {
    const transport = open({});
    return await bytesOf({ body: readUrl({ ...deps, transport: transport.send }, URL_OF_IT, {}) });
  };
}

export const URLS: readonly Row[] = [
  { says: /images\.tar\S*: 404 Not Found$/, hint: /^Check the URL$/, fail: reading({ status: 404 }) },
  {
    says: /^GET https:\/\/files\.test\/images\.tar\S*: the connection was lost after 4 of 10 bytes$/,
    fail: reading({}, 0),
  },
  {
    says: has,
    hint: CHANGED,
    fail: reading({ status: 206, headers: { 'content-range': 'bytes 5-9/10' }, body: 'fghij' }),
  },
  {
    says: has,
    hint: CHANGED,
    fail: reading({ headers: { 'content-length': '11', etag: '"b"' }, body: 'abcdefghijk' }),
  },
];
