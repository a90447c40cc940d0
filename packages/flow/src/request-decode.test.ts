import { create, toBinary } from '@bufbuild/protobuf';
import { describe, expect, test } from '@jest/globals';
import { DeliverRequestSchema, HelloSchema } from './gen/egressd/stream/v1/stream_pb.ts';
import { decodeRequest, MAX_CONTROL_BYTES, MAX_FIELDS, MalformedRequest } from './request-decode.ts';

const hello = (addresses: number, version = '') =>
  toBinary(
    DeliverRequestSchema,
    create(DeliverRequestSchema, {
      message: {
        case: 'hello',
        value: create(HelloSchema, {
          ...{ node: 'n', epoch: 'e', version, nodeAddresses: new Array(addresses).fill(new Uint8Array(16)) },
          settings: { excludeNamespaces: new Array(1024).fill('a-namespace-with-a-name-of-usual-length') },
        }),
      },
    }),
  );

/** So many fields of two bytes: number 15, a varint. */
const unknownFields = (count: number) => Uint8Array.from({ length: 2 * count }, (_, i) => (i % 2 === 0 ? 15 << 3 : 0));

describe('a request', () => {
  test('as long as an earlier collector sends it is read', () => {
    const { message } = decodeRequest(hello(4096));
    expect(message).toMatchObject({ case: 'hello', value: { node: 'n', epoch: 'e' } });
    expect(message.case === 'hello' && message.value.nodeAddresses.length).toBe(4096);
  });

  test('keeps no fields that are not known', () => {
    const request = decodeRequest(Uint8Array.of(...unknownFields(1000), 0x0a, 5, 0x1a, 1, 0x61, 0x78, 0));
    expect(request).toMatchObject({ message: { case: 'hello', value: { node: 'a' } } });
    expect(request.$unknown).toBeUndefined();
    expect((request.message.value as { $unknown?: unknown }).$unknown).toBeUndefined();
  });

  const inHello = (bytes: Uint8Array) => Uint8Array.of(0x0a, 0x80 | (bytes.length & 0x7f), bytes.length >> 7, ...bytes);
  test.each<[string, Uint8Array, string]>([
    ['with a field more than the limit', unknownFields(MAX_FIELDS + 1), `more than ${MAX_FIELDS} fields`],
    [
      'with empty addresses in a Hello',
      Uint8Array.of(0x0a, ...lengthOf(MAX_FIELDS), ...emptyAddresses(MAX_FIELDS)),
      'fields',
    ],
    ['with a Hello that is too long', hello(0, 'v'.repeat(MAX_CONTROL_BYTES)), `no more than ${MAX_CONTROL_BYTES}`],
    ['with a NodeHealth that is too long', Uint8Array.of(0x1a, 0xff, 0xff, 0x7f), `no more than ${MAX_CONTROL_BYTES}`],
    ['with a group', Uint8Array.of((15 << 3) | 3), 'group'],
    ['with a Hello that is cut off', Uint8Array.of(0x0a, 9, 0), 'cut off'],
    ['with a field beyond its message', inHello(Uint8Array.of(0x1a, 0x7f)), 'MalformedRequest|premature|beyond'],
  ])('%s is malformed', (_, bytes, text) => {
    expect(() => decodeRequest(bytes)).toThrow(MalformedRequest);
    expect(() => decodeRequest(bytes)).toThrow(new RegExp(text));
  });
});

function emptyAddresses(count: number): Uint8Array {
  return Uint8Array.from({ length: 2 * count }, (_, i) => (i % 2 === 0 ? (8 << 3) | 2 : 0));
}

/** A varint of twice the count, three bytes. */
function lengthOf(count: number): number[] {
  const bytes = 2 * count;
  return [0x80 | (bytes & 0x7f), 0x80 | ((bytes >> 7) & 0x7f), bytes >> 14];
}
