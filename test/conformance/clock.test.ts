import { createClock } from '../../src/platform/process/clock.ts';
import { clockSuite } from '../suites/clock.ts';

clockSuite('system', createClock());
