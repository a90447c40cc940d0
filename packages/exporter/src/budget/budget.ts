const MIB = 1024 * 1024;

/** What the process may take, bytes. */
export interface Memory {
  /** Of the machine or its cgroup, whichever is less. */
  readonly total: number;
  /** Of that, for V8's heap. */
  readonly heap: number;
}

/** Limits that follow from the memory there is. At each of them detail is folded or somebody has to wait: no bytes are lost. */
export interface Budget {
  /** Live series of the aggregate, with all that sinks and checkpoint need for each. */
  readonly series: number;
  /** Streams of collectors at a time. */
  readonly streams: number;
  /** Bytes of messages that have begun and not ended. */
  readonly unfinishedMessageBytes: number;
  /** Bytes of batches whose last part has not come. */
  readonly unfinishedBatchBytes: number;
  /** Bytes of batches that wait for the owner of an address. */
  readonly pendingBytes: number;
}

/** What an exporter takes that has nothing to do: code, listeners, buffers. */
const BASE_BYTES = 128 * MIB;
/**
 * Memory that a series takes with one sink while a checkpoint is written, rounded up: 301,000 series of 1,000 pods, every one at a remote-write
 * sink, took 707 MiB at the most in a cgroup of 1 GiB. Of that, on V8's heap.
 */
const SERIES_BYTES = 1536;
const SERIES_HEAP_BYTES = 1024;
/** A stream with its connection, TLS and the offsets of its node. */
const STREAM_BYTES = 48 * 1024;
/** Of what is there beside the base. */
const SERIES_SHARE = 0.5;
const STREAM_SHARE = 0.4;
const BYTES_SHARE = 1 / 16;

/** With more the event loop would stand still for seconds at each export, however much memory there is. */
const MAX_SERIES = 1_000_000;
const MIN_SERIES = 1000;
const MAX_STREAMS = 20_000;
const MIN_STREAMS = 100;
const MAX_BYTES = 64 * MIB;
/** The longest message, and a batch of a collector at its default limits. */
const MIN_BYTES = 8 * MIB;

/** Shares out the memory. */
export function budgetOf({ total, heap }: Memory): Budget {
  const free = Math.max(0, total - BASE_BYTES);
  const freeHeap = Math.max(0, heap - BASE_BYTES / 2);
  const series = Math.min(free / SERIES_BYTES, freeHeap / SERIES_HEAP_BYTES) * SERIES_SHARE;
  const bytes = within(free * BYTES_SHARE, MIN_BYTES, MAX_BYTES);
  return {
    series: within(series, MIN_SERIES, MAX_SERIES),
    streams: within((free * STREAM_SHARE) / STREAM_BYTES, MIN_STREAMS, MAX_STREAMS),
    unfinishedMessageBytes: bytes,
    unfinishedBatchBytes: bytes,
    pendingBytes: bytes,
  };
}

function within(value: number, least: number, most: number): number {
  return Math.floor(Math.min(Math.max(value, least), most));
}
