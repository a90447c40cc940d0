import type { Row } from '../row.ts';
import { API_SERVER_ROWS } from './api-server.ts';
import { CLOCK_ROWS } from './clock.ts';
import { DISK_ROWS } from './disks.ts';
import { JOB_ROWS } from './job.ts';
import { KERNEL_ROWS } from './kernel.ts';
import { LINK_ROWS } from './link.ts';
import { LOAD_ROWS } from './load.ts';
import { OTLP_ROWS } from './otlp.ts';
import { OWNER_ROWS } from './owners.ts';
import { RECEIVER_ROWS } from './receiver.ts';
import { WRITE_ROWS } from './remote-write.ts';
import { RESTART_ROWS } from './restarts.ts';

/** Every fault, in the order in which they run. */
export const ROWS: readonly Row[] = [
  ...LINK_ROWS,
  ...RECEIVER_ROWS,
  ...WRITE_ROWS,
  ...OTLP_ROWS,
  ...RESTART_ROWS,
  ...LOAD_ROWS,
  ...KERNEL_ROWS,
  ...CLOCK_ROWS,
  ...API_SERVER_ROWS,
  ...OWNER_ROWS,
  ...JOB_ROWS,
  ...DISK_ROWS,
];
