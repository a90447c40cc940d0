/**
 * The picture of the README: the overview dashboard of the demo's traffic, drawn from what the database answers to the dashboard's
 * own queries, and the answers to the README's own. `npm run picture` writes docs/picture.png and these answers.
 */
import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { startDaemons } from '@egressd/world/daemons/daemons';
import { openWorld } from '@egressd/world/network/world';
import { makeTraffic } from '../demo/live.ts';
import { withTables } from '../docs/tables.ts';
import { EXIT_INTERRUPTED, interruptSignal } from '../interrupt.ts';
import { type AnsweredSection, answerOverview, askOnce, type TimeRange } from './answers.ts';
import { PAGE_WIDTH, page } from './page.ts';
import { QUESTIONS, renderAnswers } from './readme-answers.ts';

const ROOT = join(import.meta.dirname, '../../../..');
const PICTURE = join(ROOT, 'docs/picture.png');
const README = join(ROOT, 'README.md');
const MAX_BYTES = 150_000;
/** Before the time that is shown: rates need some. */
const WARM_UP_MS = 10_000;
const SHOWN_MS = 90_000;
const SEED = 1;
/** Of the picture: flat areas and text need no more. */
const COLORS = 64;
/** Until the last read has gone through the exporter to the database. */
const SETTLE_MS = 4000;

/** What the database knows of the traffic. */
interface Seen {
  /** What the dashboard shows. */
  readonly sections: AnsweredSection[];
  readonly range: TimeRange;
  /** To the README's questions, as Markdown. */
  readonly answers: string;
}

/** Traffic in a world of its own. @returns undefined where that was interrupted */
async function watchTraffic(stop: AbortSignal): Promise<Seen | undefined> {
  const world = await openWorld({ kind: 'routed' });
  try {
    const daemons = await startDaemons(world, { owners: 'inventory' });
    try {
      const fromMs = Date.now() + WARM_UP_MS;
      const end = AbortSignal.any([stop, AbortSignal.timeout(WARM_UP_MS + SHOWN_MS)]);
      await Promise.race([daemons.failed, makeTraffic(world, SEED, end)]);
      if (stop.aborted) return undefined;
      const range = { fromMs, toMs: fromMs + SHOWN_MS };
      await Promise.race([daemons.failed, pause(SETTLE_MS)]);
      const queries = QUESTIONS.map(({ query }) => query);
      const answered = await askOnce(daemons, queries, range.toMs);
      const rows = answered.map((rows) => rows.map(({ labels, points }) => ({ labels, value: points[0]![1] })));
      return { sections: await answerOverview(daemons, range), range, answers: renderAnswers(rows) };
    } finally {
      await daemons.stop();
    }
  } finally {
    await world.close();
  }
}

/** A picture of a page, made by Debian's Chromium. */
async function takePicture({ html, height }: { html: string; height: number }, file: string): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'egressd-picture-'));
  try {
    const source = join(folder, 'page.html');
    await writeFile(source, html);
    await run('chromium', [
      ...[
        '--headless',
        '--no-sandbox',
        '--disable-gpu',
        '--hide-scrollbars',
        '--disable-lcd-text',
        '--force-device-scale-factor=1',
      ],
      ...[`--user-data-dir=${join(folder, 'profile')}`, `--window-size=${PAGE_WIDTH},${height}`],
      ...[`--screenshot=${file}`, `file://${source}`],
    ]);
    await run('pngquant', ['--force', '--output', file, String(COLORS), file]);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function run(program: string, args: readonly string[]): Promise<void> {
  const child = spawn(program, args, { stdio: ['ignore', 'ignore', 'pipe'] });
  let output = '';
  child.stderr.on('data', (chunk: Buffer) => {
    output = `${output}${chunk.toString('utf8')}`.slice(-2000);
  });
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  if (code !== 0) throw new Error(`${program} ended with ${code}:\n${output}`);
}

async function main(): Promise<number> {
  process.stderr.write(`${SHOWN_MS / 1000} seconds of traffic between two nodes in network namespaces\n`);
  const seen = await watchTraffic(interruptSignal());
  if (seen === undefined) return EXIT_INTERRUPTED;
  await takePicture(page(seen.sections, seen.range), PICTURE);
  await writeFile(README, withTables(await readFile(README, 'utf8'), { answers: seen.answers }));
  const { size } = await stat(PICTURE);
  process.stderr.write(`docs/picture.png: ${size} bytes\n`);
  if (size > MAX_BYTES) throw new Error(`docs/picture.png is larger than ${MAX_BYTES} bytes`);
  return 0;
}

main().then(
  (code) => process.exit(code),
  (error) => {
    process.stderr.write(`picture: ${error instanceof Error ? error.message : String(error)}\n`);
    process.exit(1);
  },
);
