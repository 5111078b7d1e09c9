import { createPrograms } from '../../src/platform/process/programs.ts';
import { programsSuite } from '../suites/programs.ts';

programsSuite('child_process', createPrograms);
