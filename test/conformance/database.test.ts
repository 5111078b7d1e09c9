import { createDatabases } from '../../src/platform/files/database.ts';
import { databaseSuite } from '../suites/database.ts';

databaseSuite('node:sqlite', createDatabases());
