import { expect, test } from '@jest/globals';
import { refusalReason } from './refusal-reason.ts';

test.each([
  ['out of order sample', 'out_of_order'],
  ['out of bounds', 'too_old'],
  ['duplicate sample for timestamp', 'duplicate'],
  ['timestamp too new: 1700000000000 metric: "x"', 'too_new'],
  ['per-user series limit of 150000 exceeded, please contact administrator to raise it', 'series_limit'],
  ['per-metric series limit of 50000 exceeded (per-ingester local limit: 50000)', 'series_limit'],
  ['per-user series limit of 150000 exceeded (err-mimir-max-series-per-user)', 'series_limit'],
  ['the received series has a label value whose length exceeds the limit, label: dst_pod, series: x', 'label_limit'],
  ['label value too long for metric (actual: 5000, limit: 2048)', 'label_limit'],
  ['series has too many labels (actual: 31, limit: 30)', 'label_limit'],
  ['internal error', 'other'],
])('%s', (message, reason) => expect(refusalReason(message)).toBe(reason));
