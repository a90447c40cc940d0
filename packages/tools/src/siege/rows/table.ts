import type { Row } from '../row.ts';
import { DICTIONARY } from './dictionary.ts';
import { HELLO_ADDRESSES } from './hello-addresses.ts';
import { IDLE_KEEPALIVES } from './idle-keepalives.ts';
import { MANY_NODE_NAMES } from './many-node-names.ts';
import { MANY_SERIES } from './many-series.ts';
import { SILENT_HANDSHAKES } from './silent-handshakes.ts';
import { UNKNOWN_FIELDS } from './unknown-fields.ts';
import { UNREAD_METRICS } from './unread-metrics.ts';

/** Every attack, in the order in which they run: a file each. */
export const ROWS: readonly Row[] = [
  SILENT_HANDSHAKES,
  IDLE_KEEPALIVES,
  UNREAD_METRICS,
  MANY_SERIES,
  UNKNOWN_FIELDS,
  DICTIONARY,
  MANY_NODE_NAMES,
  HELLO_ADDRESSES,
];
