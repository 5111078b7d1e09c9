import { createFileSystem } from '../../src/platform/files/file-system.ts';
import { fileSystemSuite } from '../suites/file-system.ts';

fileSystemSuite('node:fs', createFileSystem);
