// What `npm run VERB -- ARGUMENTS` starts: makes sure that what the verb needs is there, then runs it with the Node.js that
// came from npm. Needs nothing but the machine's own Node.js (20 or later) and npm. All it has to say goes to stderr.
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { constants } from 'node:os';
import { ensureBpf } from './bpf.mjs';
import { ensureBinaries, ensurePackages } from './debian.mjs';
import { ensureKubernetesTools } from './kubernetes.mjs';
import { ensureMachine } from './machine.mjs';
import { SetupError, say } from './say.mjs';
import { VERBS } from './verbs.mjs';
import { childEnvironment, ensureWorkspace, ROOT } from './workspace.mjs';

const EXIT_USAGE = 2;

/** Whether the terminal's Ctrl-C has reached the child too: it goes to the whole foreground group. */
function terminalSignalsGroup() {
  // pid (name) state ppid pgrp session tty tpgid: proc(5). The name may hold anything, so count from its end.
  const stat = readFileSync('/proc/self/stat', 'latin1');
  const [, , group, , , foreground] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return group === foreground;
}

/** Runs one command to its end and hands signals on to it. @returns its exit code, 128 + signal where one ended it */
function run({ command, args, cwd }) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd, stdio: 'inherit', env: childEnvironment() });
    const pass = (signal) => {
      if (signal !== 'SIGINT' || !terminalSignalsGroup()) child.kill(signal);
    };
    const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'];
    for (const signal of signals) process.on(signal, pass);
    child.once('error', reject);
    child.once('exit', (code, signal) => {
      for (const name of signals) process.off(name, pass);
      resolve({ code: code ?? 128 + constants.signals[signal], ended: signal !== null || code > 128 });
    });
  });
}

/** Prepares the machine for the verb and runs its steps, all of them unless one is ended by a signal. */
async function main([name, ...args]) {
  const verb = VERBS[name];
  if (verb === undefined)
    throw new SetupError(`unknown verb ${name}: one of ${Object.keys(VERBS).join(', ')}`, EXIT_USAGE);
  const { packages = [], binaries = [], kubernetes = false, machine, root = false, steps } = verb(args);
  if (root && process.getuid() !== 0) throw new SetupError(root);
  ensurePackages(packages, { optional: !root });
  ensureBinaries(binaries);
  if (machine !== undefined) ensureMachine(machine);
  ensureWorkspace();
  if (packages.includes('clang')) ensureBpf();
  if (kubernetes) ensureKubernetesTools();
  let worst = 0;
  for (const step of steps) {
    if (step.title !== undefined) say(step.title);
    const { code, ended } = await run({ cwd: ROOT, ...step });
    worst ||= code;
    if (ended) break;
  }
  return worst;
}

main(process.argv.slice(2)).then(
  (code) => {
    process.exitCode = code;
  },
  (error) => {
    if (!(error instanceof SetupError)) throw error;
    say(error.message);
    process.exitCode = error.exitCode;
  },
);
