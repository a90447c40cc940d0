import { create } from '@bufbuild/protobuf';
import { encodeBatch } from '@egressd/flow/batch-encode';
import { emptyColumns } from '@egressd/flow/columns';
import { type BatchPart, BatchPartSchema } from '@egressd/flow/gen/egressd/stream/v1/stream_pb';
import { FLOW_SERVICE } from '@egressd/flow/service';
import { describe, expect, test } from '@jest/globals';
import { BatchAssembly, MAX_BATCH_PARTS, MAX_BATCH_ROWS } from './batch-assembly.ts';

/** Parts of a good batch of so many rows, small enough to be several. */
function parts(number: number, rows = 100): BatchPart[] {
  const messages = encodeBatch({ number, fromMs: 10, toMs: 20 }, emptyColumns(rows, 1), 600);
  return messages.map((bytes) => FLOW_SERVICE.deliver.requestDeserialize(bytes).message.value as BatchPart);
}

/** A part without rows. */
function part(
  fields: Partial<{ number: bigint; part: number; last: boolean; fromMs: bigint; toMs: bigint; rows: number }>,
) {
  return create(BatchPartSchema, { number: 1n, fromMs: 10n, toMs: 20n, ...fields });
}

/** What a fresh assembly makes of some parts, the last answer. */
function last(...given: BatchPart[]) {
  const assembly = new BatchAssembly();
  return given.map((one) => assembly.push(one, 10)).at(-1);
}

describe('assembly', () => {
  test('a batch is whole with its last part', () => {
    const assembly = new BatchAssembly();
    const given = parts(7);
    expect(given.length).toBeGreaterThan(2);
    const answers = given.map((one) => assembly.push(one, 10));
    expect(answers.slice(0, -1).every(({ kind }) => kind === 'more')).toBe(true);
    expect(answers.at(-1)).toMatchObject({ kind: 'whole', span: { number: 7, fromMs: 10, toMs: 20 } });
    expect(assembly.bytes).toBe(0);
  });

  test('the parts of several messages can be had again, and are held as they came', () => {
    const assembly = new BatchAssembly();
    const whole = parts(7)
      .map((one) => assembly.push(one, 10))
      .at(-1)!;
    if (whole.kind !== 'whole') throw new Error(whole.kind);
    const rows = () => [...whole.parts].map((one) => one.rows);
    expect(rows().reduce((sum, count) => sum + count, 0)).toBe(100);
    expect(rows()).toEqual(rows());
    expect(whole.parts.byteLength).toBe(10 * rows().length);
  });

  test('a malformed part is found when it comes, not with the last', () => {
    const assembly = new BatchAssembly();
    const [first, ...others] = parts(7);
    expect(assembly.push({ ...first!, rows: first!.rows + 1 }, 10)).toMatchObject({ kind: 'malformed', number: 7 });
    expect(others.map((one) => assembly.push(one, 10).kind)).not.toContain('whole');
  });

  test('counts the bytes that wait', () => {
    const assembly = new BatchAssembly();
    assembly.push(part({}), 10);
    assembly.push(part({ part: 1 }), 25);
    expect(assembly.bytes).toBe(35);
  });

  test('one batch after the other', () => {
    const assembly = new BatchAssembly();
    const whole = [...parts(1), ...parts(2)]
      .map((one) => assembly.push(one, 10))
      .filter(({ kind }) => kind === 'whole');
    expect(whole.length).toBe(2);
  });

  test.each<[string, BatchPart[], string]>([
    ['a part is missing', [part({}), part({ part: 2 })], 'part 2 came where part 1 was due'],
    ['a part comes twice', [part({}), part({})], 'part 0 came where part 1 was due'],
    ['it begins in the middle', [part({ part: 3 })], 'part 3 came where part 0 was due'],
    ['its times differ', [part({}), part({ part: 1, toMs: 21n })], 'its parts have different times'],
    ['its times are turned round', [part({ fromMs: 30n })], 'times are 30 to 20'],
    ['it has too many rows', [part({ rows: MAX_BATCH_ROWS + 1 })], `more than ${MAX_BATCH_ROWS} rows`],
    ['it claims more rows than it has', [part({ rows: 3, last: true })], 'claims 3 rows'],
  ])('a batch is malformed where %s', (_, given, reason) =>
    expect(last(...given)).toMatchObject({ kind: 'malformed', number: 1, reason: expect.stringContaining(reason) }),
  );

  test('a batch has no more parts than its limit', () => {
    const assembly = new BatchAssembly();
    for (let i = 0; i < MAX_BATCH_PARTS; i++) expect(assembly.push(part({ part: i }), 1).kind).toBe('more');
    expect(assembly.push(part({ part: MAX_BATCH_PARTS }), 1)).toMatchObject({ kind: 'malformed' });
    expect(assembly.bytes).toBe(0);
  });

  test('the rest of a malformed batch is skipped, and the next is taken', () => {
    const assembly = new BatchAssembly();
    assembly.push(part({ part: 3 }), 10);
    expect(assembly.push(part({ part: 4 }), 10)).toEqual({ kind: 'more' });
    expect(assembly.push(part({ part: 5, last: true }), 10)).toEqual({ kind: 'more' });
    expect(assembly.push(part({ number: 2n, last: true }), 10)).toMatchObject({ kind: 'whole' });
  });

  test('a batch that cuts off another is disorder', () =>
    expect(last(part({}), part({ number: 2n }))).toMatchObject({
      kind: 'disorder',
      text: 'a part of batch 2 came before the last part of batch 1',
    }));

  test.each([0n, 2n ** 53n])('number %s is disorder', (number) =>
    expect(last(part({ number }))).toMatchObject({ kind: 'disorder' }),
  );
});
