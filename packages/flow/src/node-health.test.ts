import { create } from '@bufbuild/protobuf';
import { expect, test } from '@jest/globals';
import { NodeHealthSchema } from './gen/egressd/stream/v1/stream_pb.ts';
import { readNodeHealth } from './node-health.ts';

test('blind spots that only a newer collector knows say nothing', () => {
  const message = create(NodeHealthSchema, { blindSpots: ['wormhole', 'bridge', 'bridge'] });
  expect(readNodeHealth(message)?.blindSpots).toEqual(['bridge']);
});

test('no blind spot is none', () => {
  expect(readNodeHealth(create(NodeHealthSchema, {}))).not.toHaveProperty('blindSpots');
});
