// Jest's whole TypeScript toolchain: Node itself erases the types.
import { stripTypeScriptTypes } from 'node:module';

export default { process: (source) => ({ code: stripTypeScriptTypes(source) }) };
