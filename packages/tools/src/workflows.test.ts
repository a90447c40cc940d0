import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from '@jest/globals';
import { parse } from 'yaml';

const ROOT = fileURLToPath(new URL('../../..', import.meta.url));
const FOLDER = join(ROOT, '.github/workflows');

/** https://docs.github.com/en/actions/writing-workflows/workflow-syntax-for-github-actions: what is looked at. */
interface Workflow {
  readonly permissions: unknown;
  readonly jobs: Readonly<Record<string, Job>>;
}
interface Job {
  readonly uses?: string;
  readonly needs?: string | readonly string[];
  readonly strategy?: { readonly matrix: { readonly daemon?: readonly string[] } };
  readonly steps?: readonly { readonly uses?: string; readonly with?: Readonly<Record<string, string>> }[];
}

function read(name: string): Workflow {
  return parse(readFileSync(join(FOLDER, name), 'utf8')) as Workflow;
}

describe.each(readdirSync(FOLDER))('%s', (name) => {
  const workflow = read(name);
  const jobs = Object.values(workflow.jobs);
  const used = jobs.flatMap((job) => [job.uses, ...(job.steps ?? []).map((step) => step.uses)]).filter(Boolean);

  test('may do no more than read, unless a job says otherwise', () => {
    expect(workflow.permissions).toEqual({ contents: 'read' });
  });

  test('takes each action in one exact version', () => {
    expect(used.length).toBeGreaterThan(0);
    expect(used.filter((action) => !/^\.\/|@v\d+\.\d+\.\d+$/.test(action!))).toEqual([]);
  });

  test('names jobs and workflows that are there', () => {
    const named = jobs.flatMap(({ needs = [] }) => needs);
    expect(named.filter((job) => !(job in workflow.jobs))).toEqual([]);
    const local = used.filter((action) => action!.startsWith('./'));
    expect(local.filter((path) => !existsSync(join(ROOT, path!)))).toEqual([]);
  });
});

test('a release builds every image from its file', () => {
  const { strategy, steps = [] } = read('release.yml').jobs.images!;
  const file = steps.find((step) => step.with?.file !== undefined)!.with!.file!;
  const daemons = strategy?.matrix.daemon ?? [];
  const files = daemons.map((daemon) => file.replace(/\$\{\{ matrix\.daemon \}\}/, daemon));
  expect(files).toEqual(
    readdirSync(ROOT)
      .filter((name) => name.startsWith('Dockerfile.'))
      .sort(),
  );
});
