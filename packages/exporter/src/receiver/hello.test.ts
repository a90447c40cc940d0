import { create } from '@bufbuild/protobuf';
import { formatAddress } from '@egressd/flow/address';
import { HelloSchema } from '@egressd/flow/gen/egressd/stream/v1/stream_pb';
import { MAX_NODE_ADDRESSES } from '@egressd/flow/node-health';
import { describe, expect, test } from '@jest/globals';
import { peerAddress, readHello } from './hello.ts';

describe('peer addresses', () => {
  test.each([
    ['10.0.0.1:4711', '10.0.0.1'],
    ['::ffff:10.0.0.1:4711', '10.0.0.1'],
    ['::1:4711', '::1'],
    ['fe80::1%eth0:4711', 'fe80::1'],
  ])('%s', (peer, address) => expect(formatAddress(peerAddress(peer)!)).toBe(address));

  test.each(['unknown', '', ':', 'localhost:1'])('none in "%s"', (peer) => expect(peerAddress(peer)).toBeUndefined());
});

describe('hello', () => {
  const good = { protocol: 1, oldestProtocol: 1, node: 'a', epoch: 'n' };

  test('without settings means the defaults', () =>
    expect(readHello(create(HelloSchema, good), 'unknown', { kind: 'any' })).toMatchObject({
      kind: 'admitted',
      protocol: 1,
      collector: { settings: { excludeNamespaces: [], groupPublicIps: false, sendTrafficDelta: undefined } },
    }));

  test('of too many addresses the first are taken: a node with IPVS once had every Service', () => {
    const nodeAddresses = Array.from({ length: 5000 }, () => new Uint8Array(16));
    const result = readHello(create(HelloSchema, { ...good, nodeAddresses }), 'unknown', { kind: 'any' });
    expect(result.kind === 'admitted' && result.nodeAddresses.length).toBe(MAX_NODE_ADDRESSES);
  });

  test.each([true, false, undefined])('send-traffic-delta %s stays what it is', (sendTrafficDelta) => {
    const settings = sendTrafficDelta === undefined ? {} : { sendTrafficDelta };
    const admission = readHello(create(HelloSchema, { ...good, settings }), 'unknown', { kind: 'any' });
    expect(admission).toMatchObject({ collector: { settings: { sendTrafficDelta } } });
  });
});
