import { createClock } from '../../src/platform/common/clock.ts';
import { clockSuite } from '../suites/clock.ts';

clockSuite('system', createClock());
