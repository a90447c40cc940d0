import { status } from '@grpc/grpc-js';
import { describe, expect, test } from '@jest/globals';
import { streamEndOf } from './stream-end.ts';

/** Details as grpc-js 1.14 words them. */
const NO_CONNECTION = 'No connection established. Last error: ';

describe('the end of a stream', () => {
  test.each([
    [status.OK, '', 'closed', 'status OK'],
    [status.UNAVAILABLE, 'the exporter is not ready', 'unavailable', 'the exporter is not ready'],
    [status.UNIMPLEMENTED, 'no such method', 'unimplemented', 'no such method'],
    [status.PERMISSION_DENIED, 'not yours', 'permission_denied', 'not yours'],
    [status.FAILED_PRECONDITION, 'speaks 5', 'protocol', 'speaks 5'],
    [status.RESOURCE_EXHAUSTED, 'full', 'resource_exhausted', 'full'],
    [status.ABORTED, 'a newer stream', 'superseded', 'a newer stream'],
    [status.INVALID_ARGUMENT, 'no', 'invalid', 'no'],
    [status.INTERNAL, 'no', 'other', 'no'],
    [
      status.UNAVAILABLE,
      `${NO_CONNECTION}Error: connect ECONNREFUSED 127.0.0.1:1 (2026-11-22T01:38:05.729Z). Resolution note: `,
      'unavailable',
      'no connection: connect ECONNREFUSED 127.0.0.1:1',
    ],
    [
      status.UNAVAILABLE,
      `${NO_CONNECTION}Error: unable to verify the first certificate. Resolution note: `,
      'tls',
      'no connection: unable to verify the first certificate',
    ],
    [
      status.UNAVAILABLE,
      `${NO_CONNECTION}404D:error:0A00045C:SSL routines:ssl3_read_bytes:tlsv13 alert certificate required:../a.c:918:SSL alert number 116\n (2026-11-22T01:38:05.760Z). Resolution note: `,
      'tls',
      'no connection: SSL: tlsv13 alert certificate required',
    ],
    [
      status.UNAVAILABLE,
      'Name resolution failed for target dns:exporter:6062',
      'unavailable',
      'Name resolution failed for target dns:exporter:6062',
    ],
  ])('status %i, %j: %s, %j', (code, details, reason, text) =>
    expect(streamEndOf(code, details)).toEqual({ reason, text }),
  );

  test.each([' ', 'A', '(2026-', '\n .'])('a long text of %j takes no time, and is cut', (piece) => {
    const began = performance.now();
    const { text } = streamEndOf(status.UNAVAILABLE, `x${piece.repeat(16_384)}Resolution note:y`);
    expect(text.length).toBeLessThan(1100);
    // A millisecond on a quiet machine.
    expect(performance.now() - began).toBeLessThan(3000);
  });
});
