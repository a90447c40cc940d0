import { protocolName } from '@egressd/flow/protocol';
import { isExact, type Row } from '@egressd/world/daemons/comparison';
import type { CaseResult } from './case.ts';

/** What a result comes to. */
export interface Verdict {
  readonly good: boolean;
  readonly text: string;
}

/** Whether what was found is what has to be. */
export function verdictOf({ expected, rows, blindSpots, error }: CaseResult): Verdict {
  if (error !== undefined) return { good: false, text: `FAILED: ${error}` };
  const wrong = rows.filter((row) => !isExact(row));
  const bytes = sum(rows, ({ bytes: { kernel } }) => kernel);
  const missing = sum(wrong, ({ bytes: { kernel, database } }) => kernel - database);
  const says = blindSpots.length > 0 ? `; the collector reports ${blindSpots.join(' ')}` : '';
  if (wrong.length === 0) {
    const good = (expected === 'exact' || expected === 'payload') && bytes > 0 && blindSpots.length === 0;
    return { good, text: `EXACT: ${rows.length} rows, ${bytes} bytes${says}` };
  }
  if (expected === 'payload') {
    const good = blindSpots.length === 0 && wrong.every(lacksNoPayload);
    return { good, text: `ALL PAYLOAD: without ${missing} bytes of ${bytes} in packets that carry none${says}` };
  }
  const silent = blindSpots.length === 0 ? '; no metric of the collector says so' : says;
  const text = `MISSING ${missing} of ${bytes} bytes, in ${wrong.length} of ${rows.length} rows${silent}`;
  return { good: expected !== 'exact' && saysWhy(expected.missing, blindSpots) && wrong.every(isTooLow), text };
}

/** An IPv4 header and a TCP header with all options that SYNs and acknowledgements have. */
const MAX_EMPTY_PACKET_BYTES = 60;
/** Of a row's packets. */
const MAX_MISSING_SHARE = 0.02;

/** The first packets of a connection go to the switch's program; what is sent again meanwhile may pass without an entry. */
function lacksNoPayload({ bytes, packets }: Row): boolean {
  const [lost, lostBytes] = [packets.kernel - packets.database, bytes.kernel - bytes.database];
  return (
    lost > 0 &&
    lost <= MAX_MISSING_SHARE * packets.kernel &&
    lostBytes > 0 &&
    lostBytes <= lost * MAX_EMPTY_PACKET_BYTES
  );
}

/** What is missing has to be reported, with its reason. */
function saysWhy(reason: string, blindSpots: readonly string[]): boolean {
  return blindSpots.some((line) => line.includes(`reason="${reason}"`));
}

/** Where bytes pass conntrack by there are fewer, never more. */
function isTooLow({ bytes }: Row): boolean {
  return bytes.database <= bytes.kernel;
}

function sum(rows: readonly Row[], value: (row: Row) => number): number {
  return rows.reduce((total, row) => total + value(row), 0);
}

/** A result for people. */
export function reportLines(result: CaseResult, withMetrics: boolean): string[] {
  const { good, text } = verdictOf(result);
  const wrong = result.rows.filter((row) => !isExact(row)).map((row) => `    ${rowText(row)}`);
  const warnings = result.warnings.map((line) => `    ${line}`);
  const metrics = withMetrics ? result.metrics.split('\n').map((line) => `    ${line}`) : [];
  return [`${good ? 'ok    ' : 'FAILED'} ${result.world}: ${result.name}: ${text}`, ...wrong, ...warnings, ...metrics];
}

function rowText({ source, destination, protocol, direction, bytes }: Row): string {
  const ends = `${source} ${direction === 'tx' ? '>' : '<'} ${destination} ${protocolName(protocol)}`;
  return `${ends}: ends ${bytes.kernel}, egressd ${bytes.database}, missing ${bytes.kernel - bytes.database}`;
}
