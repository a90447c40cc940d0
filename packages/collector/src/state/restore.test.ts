import { describe, expect, test } from '@jest/globals';
import { encodeBatchFile } from './batch-file.ts';
import { CONNECTION_WORDS, encodeConnections } from './connections-file.ts';
import { restore } from './restore.ts';
import { MemoryDisk } from './testing.ts';

const HERE = { node: 'node-a', bootId: 'boot-1', source: 'netfilter net:[1]' };
const ELSEWHERE = { ...HERE, node: 'node-b' };

function batch(number: number, owner: { node?: string; epoch?: string; frozenMs?: number } = {}): Uint8Array {
  const { node = HERE.node, epoch = 'one', frozenMs = number } = owner;
  const messages = [Buffer.from(`batch ${number}`)];
  const frozen = { number, messages, bytes: messages[0]!.length, rows: 1, flowBytes: 5, frozenMs };
  return Buffer.concat(encodeBatchFile({ node, epoch, batch: frozen }));
}

function connections(number: number, here = HERE): Uint8Array {
  const words = new Uint32Array(CONNECTION_WORDS);
  const image = { whole: true, number, sinceMs: 1, firstReadNs: 5n, baseline: false, counterDecreases: 0, words };
  return Buffer.concat(encodeConnections({ ...here, epoch: 'one' }, image));
}

/** What comes of files: how it went, epoch, batches to send; and which files are left. */
async function restored(files: Record<string, Uint8Array>) {
  const disk = new MemoryDisk(new Map(Object.entries(files)));
  const { outcome, epoch, batches, connections: kept, dropped } = await restore(disk, HERE);
  return {
    outcome,
    continues: kept !== undefined,
    epoch: epoch && `${epoch.name} ${epoch.last}`,
    batches: batches.map(({ number }) => number),
    dropped: Object.fromEntries(dropped),
    files: [...disk.files.keys()].sort(),
  };
}

const BATCHES = { 'batches/4': batch(4), 'batches/5': batch(5) };

test('nothing: a first start', async () =>
  expect(await restored({})).toEqual({
    outcome: 'none',
    continues: false,
    epoch: undefined,
    batches: [],
    dropped: {},
    files: [],
  }));

describe('the same boot', () => {
  test('goes on where it was', async () =>
    expect(await restored({ connections: connections(5), ...BATCHES })).toMatchObject({
      outcome: 'restored',
      continues: true,
      epoch: 'one 5',
      batches: [4, 5],
      files: ['batches/4', 'batches/5', 'connections'],
    }));

  test('all is committed: the numbers go on', async () =>
    expect(await restored({ connections: connections(5) })).toMatchObject({ epoch: 'one 5', batches: [] }));

  test('a batch behind the last image was not sent: it is counted again', async () =>
    expect(await restored({ connections: connections(4), ...BATCHES })).toMatchObject({
      epoch: 'one 4',
      batches: [4],
      files: ['batches/4', 'connections'],
    }));

  test('a batch behind the last image may be cut off', async () => {
    const torn = { 'batches/4': batch(4), 'batches/5': batch(5).subarray(0, 30) };
    expect(await restored({ connections: connections(4), ...torn })).toMatchObject({ batches: [4], dropped: {} });
  });

  test('another table: connections start from a baseline, the numbers continue after every batch', async () => {
    const other = connections(4, { ...HERE, source: 'netfilter net:[2]' });
    expect(await restored({ connections: other, ...BATCHES })).toMatchObject({
      outcome: 'other_source',
      continues: false,
      epoch: 'one 5',
      batches: [4, 5],
      files: ['batches/4', 'batches/5'],
    });
  });
});

describe('another boot', () => {
  const before = connections(5, { ...HERE, bootId: 'boot-0' });

  test('connections start from a baseline, the batches go out', async () =>
    expect(await restored({ connections: before, ...BATCHES })).toMatchObject({
      outcome: 'other_boot',
      continues: false,
      epoch: 'one 5',
      batches: [4, 5],
      files: ['batches/4', 'batches/5'],
    }));

  test('all is committed: another epoch', async () =>
    expect(await restored({ connections: before })).toMatchObject({ epoch: undefined, files: [] }));
});

describe('what cannot be used is put aside and counted', () => {
  test.each<[string, Uint8Array, string]>([
    ['foreign', Buffer.from('written by another program'), 'foreign'],
    ['cut off in its head', connections(5).subarray(0, 40), 'damaged'],
    ['empty', new Uint8Array(), 'damaged'],
    ['of another node', connections(5, ELSEWHERE), 'other_node'],
  ])('connections: %s', async (_, file, outcome) =>
    expect(await restored({ connections: file, ...BATCHES })).toMatchObject({
      outcome,
      continues: false,
      epoch: 'one 5',
      batches: [4, 5],
      files: ['batches/4', 'batches/5', 'connections.bad'],
    }),
  );

  test('a batch', async () =>
    expect(await restored({ connections: connections(5), ...BATCHES, 'batches/4': Buffer.from('x') })).toMatchObject({
      batches: [5],
      dropped: { damaged: 1 },
      files: ['batch.bad', 'batches/5', 'connections'],
    }));

  test('a batch under another number', async () =>
    expect(await restored({ 'batches/5': batch(4) })).toMatchObject({ batches: [], dropped: { damaged: 1 } }));

  test('batches of another node, as on a copied disk', async () =>
    expect(await restored({ 'batches/4': batch(4, { node: 'node-b' }) })).toMatchObject({
      epoch: undefined,
      dropped: { other_node: 1 },
      files: [],
    }));

  test('batches of two epochs: the one that was in use last', async () => {
    const files = { 'batches/9': batch(9, { epoch: 'zero', frozenMs: 1 }), 'batches/4': batch(4) };
    expect(await restored(files)).toMatchObject({ epoch: 'one 4', batches: [4], dropped: { other_epoch: 1 } });
  });

  test('what is no batch is left alone', async () =>
    expect(await restored({ 'batches/README': Buffer.from('?') })).toMatchObject({ files: ['batches/README'] }));
});
