export { undiciTransports as createTransports } from '../http/undici-transport.ts';
