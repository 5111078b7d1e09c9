import { createPrograms } from '../../src/platform/common/programs.ts';
import { programsSuite } from '../suites/programs.ts';

programsSuite('child_process', createPrograms);
