import { createHashers } from '../../src/platform/codecs/hashers.ts';
import { webHashers } from '../../src/platform/web/hashers.ts';
import { hashersSuite } from '../suites/hashers.ts';

hashersSuite('node:crypto', createHashers());
hashersSuite('JavaScript', webHashers());
