import { createHashers } from '../../src/platform/codecs/hashers.ts';
import { hashersSuite } from '../suites/hashers.ts';

hashersSuite('node:crypto', createHashers());
