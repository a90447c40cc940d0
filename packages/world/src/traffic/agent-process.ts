import type { ChildProcess } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { Bug } from '@egressd/flow/bug';
import type { AnswerLine, Done, Order } from './orders.ts';

/** An order that could not be carried out, or an agent that is gone. */
class AgentError extends Error {
  override readonly name = 'AgentError';
}

/** Our side of an agent. */
export interface Agent {
  /** Sends an order to the agent, and waits until it is done. @throws AgentError */
  order(order: Order): Promise<Done>;
  /** Lets it end. */
  close(): void;
}

const PROGRAM = fileURLToPath(new URL('./agent.ts', import.meta.url));
/** A world has eleven of them: each gets by with little. */
const NODE_FLAGS = ['--max-old-space-size=64', '--max-semi-space-size=2', '--disable-warning=ExperimentalWarning'];

/** Starts an agent. @param spawn starts the process where it belongs, with pipes */
export function startAgent(spawn: (command: string, args: readonly string[]) => ChildProcess): Agent {
  const child = spawn(process.execPath, [...NODE_FLAGS, PROGRAM]);
  if (child.stdin === null || child.stdout === null || child.stderr === null) throw new Bug('an agent without pipes');
  const { stdin } = child;
  const open = new Map<number, (answer: AnswerLine) => void>();
  let next = 1;
  let gone: string | undefined;
  let lastLines = '';
  createInterface({ input: child.stdout }).on('line', (line) => {
    const answer = JSON.parse(line) as AnswerLine;
    open.get(answer.id)?.(answer);
    open.delete(answer.id);
  });
  child.stderr.on('data', (chunk: Buffer) => {
    lastLines = `${lastLines}${chunk.toString('utf8')}`.slice(-1000);
  });
  const end = (reason: string) => {
    gone ??= `the agent has ended (${reason}) ${lastLines}`;
    for (const [id, settle] of open) settle({ id, error: gone });
    open.clear();
  };
  child.once('close', (code, signal) => end(String(code ?? signal)));
  child.once('error', (error) => end(error.message));
  stdin.on('error', () => {}); // it has ended: `close` says so
  return {
    order(order) {
      const { promise, resolve, reject } = Promise.withResolvers<Done>();
      if (gone !== undefined) return Promise.reject(new AgentError(gone));
      const id = next++;
      open.set(id, (answer) =>
        'done' in answer ? resolve(answer.done) : reject(new AgentError(`${JSON.stringify(order)}: ${answer.error}`)),
      );
      stdin.write(`${JSON.stringify({ id, ...order })}\n`);
      return promise;
    },
    close: () => {
      stdin.end();
    },
  };
}
