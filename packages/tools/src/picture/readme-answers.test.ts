import { expect, test } from '@jest/globals';
import { blocks, readDocument } from '../docs/documents.ts';
import { QUESTIONS, renderAnswers } from './readme-answers.ts';

const README = readDocument('README.md');

test('every question stands with its answer, the largest first', () => {
  const [first, second] = [
    [
      { labels: { dst_zone: 'b', src_zone: 'a' }, value: 999.6 },
      { labels: { src_zone: 'b', dst_zone: 'long' }, value: 1234567 },
    ],
    [{ labels: { src_namespace: 'shop', src_pod: 'web-1' }, value: 1 }],
  ];
  const text = renderAnswers([first!, second!]);
  expect(text).toContain('{src_zone="b", dst_zone="long"}  1,234,567\n{src_zone="a", dst_zone="b"}         1,000\n');
  expect(() => renderAnswers([first!, []])).toThrow('no answer to topk(');
});

test('the README has the questions, and an answer of a run behind each: `npm run picture` writes them', () => {
  const all = blocks(README);
  for (const { asks, query } of QUESTIONS) {
    const at = all.findIndex(({ text }) => text === `# ${asks}\n${query}\n`);
    const labels = /by \(([^)]+)\)/.exec(query)![1]!.split(', ');
    const answer = new RegExp(`^(\\{${labels.map((label) => `${label}="[\\w-]+"`).join(', ')}\\} +[\\d,]+\\n)+$`);
    expect(all[at + 1]?.text).toMatch(answer);
  }
});
