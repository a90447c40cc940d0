import type { Row } from '../row.ts';
import { LINK_ROWS } from './link.ts';
import { RECEIVER_ROWS } from './receiver.ts';
import { RESTART_ROWS } from './restarts.ts';

/** Every fault, in the order in which they run. */
export const ROWS: readonly Row[] = [...LINK_ROWS, ...RECEIVER_ROWS, ...RESTART_ROWS];
