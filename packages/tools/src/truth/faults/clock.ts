import { existsSync } from 'node:fs';
import { rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { World } from '@egressd/world/network/world';

/** Debian's libfaketime: stands between a program and its C library, where it asks for the time. The machine's clock is not touched. */
const LIBRARIES = ['x86_64', 'aarch64'].map((machine) => `/usr/lib/${machine}-linux-gnu/faketime/libfaketimeMT.so.1`);

/** The clock that the daemons of a world see. */
export interface Clock {
  /** What their environment must hold. */
  readonly environment: Readonly<Record<string, string>>;
  /** Sets it, that of running daemons too. @param seconds from the machine's clock; negative: back */
  shift(seconds: number): Promise<void>;
}

/** A clock. @param offBy what it shows until it is shifted: seconds from the machine's @throws Error where the library is missing */
export async function makeClock(world: World, offBy: number): Promise<Clock> {
  const library = LIBRARIES.find((path) => existsSync(path));
  if (library === undefined) throw new Error('libfaketime is missing: `npm run truth` installs it from Debian');
  const file = join(world.folder, 'clock');
  const shift = async (seconds: number) => {
    // As a whole: a program may read it at any moment.
    await writeFile(`${file}.new`, `${seconds < 0 ? '' : '+'}${seconds}\n`);
    await rename(`${file}.new`, file);
  };
  await shift(offBy);
  return {
    shift,
    environment: {
      LD_PRELOAD: library,
      FAKETIME_TIMESTAMP_FILE: file,
      // What only goes forward goes on: timers of libuv, and what the daemons measure durations with.
      FAKETIME_DONT_FAKE_MONOTONIC: '1',
      FAKETIME_NO_CACHE: '1',
    },
  };
}
