/**
 * Records the decoder's corpus anew from this machine's kernel: `node --conditions=source packages/tools/src/corpus/record.ts`, as
 * root.
 */
import { writeFileSync } from 'node:fs';
import { release } from 'node:os';
import { recordAll } from './recorder.ts';

const FILE = new URL('../../../collector/src/conntrack/netfilter/testdata/corpus.json', import.meta.url);

const recordings = await recordAll();
writeFileSync(FILE, `${JSON.stringify({ kernel: release().split('-')[0], recordings }, undefined, 1)}\n`);
console.log(`${recordings.length} recordings written to ${FILE.pathname}`);
