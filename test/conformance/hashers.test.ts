import { createHashers } from '../../src/platform/common/hashers.ts';
import { hashersSuite } from '../suites/hashers.ts';

hashersSuite('node:crypto', createHashers());
