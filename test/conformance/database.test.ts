import { createDatabases } from '../../src/platform/common/database.ts';
import { databaseSuite } from '../suites/database.ts';

databaseSuite('node:sqlite', createDatabases());
