import { readableCount, textTable } from '../demo/text-table.ts';

/** The README's own questions. */
export const QUESTIONS: readonly { readonly asks: string; readonly query: string }[] = [
  {
    asks: 'bytes a second that leave each zone for another',
    query: 'sum by (src_zone, dst_zone) (rate(egressd_transmit_bytes_total{cross_zone="true"}[5m]))',
  },
  {
    asks: 'the pods that sent most to the internet today, bytes',
    query:
      'topk(3, sum by (src_namespace, src_pod) (increase(egressd_transmit_bytes_total{dst_ip_type="public"}[1d])))',
  },
];

/** A series of an answer, and its value. */
export interface AnsweredRow {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/**
 * The questions as Markdown, each with its answer, the largest value first.
 * @param answers one for each question
 * @throws Error where an answer is empty
 */
export function renderAnswers(answers: readonly (readonly AnsweredRow[])[]): string {
  const blocks = QUESTIONS.map(({ asks, query }, i) => {
    const rows = [...(answers[i] ?? [])].sort((a, b) => b.value - a.value);
    if (rows.length === 0) throw new Error(`no answer to ${query}`);
    return `\`\`\`promql\n# ${asks}\n${query}\n\`\`\`\n\n\`\`\`\n${answerLines(rows, groupedBy(query)).join('\n')}\n\`\`\`\n`;
  });
  return blocks.join('\n');
}

/** The labels of an answer, in the order of the query: databases give them in one of their own. */
function groupedBy(query: string): readonly string[] {
  return /by \(([^)]+)\)/.exec(query)![1]!.split(', ');
}

function answerLines(rows: readonly AnsweredRow[], order: readonly string[]): string[] {
  const cells = rows.map(({ labels, value }) => {
    const pairs = order.map((label) => `${label}="${labels[label] ?? ''}"`);
    return [`{${pairs.join(', ')}}`, readableCount(Math.round(value))];
  });
  const [, ...lines] = textTable(
    [
      { title: '', align: 'left' },
      { title: '', align: 'right' },
    ],
    cells,
  );
  return lines;
}
