export { undiciTransports as createTransports } from '../common/undici-transport.ts';
