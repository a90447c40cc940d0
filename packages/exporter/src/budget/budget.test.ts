import { describe, expect, test } from '@jest/globals';
import { budgetOf } from './budget.ts';

const MIB = 1024 * 1024;

describe('the budget', () => {
  test.each([
    ['a small container', 256, 180, 40_000, 1_000],
    ["the chart's limit", 1024, 716, 300_000, 7_000],
    ['a large machine with the heap that V8 takes', 65_536, 4096, 1_000_000, 20_000],
  ])('%s', (_, total, heap, series, streams) => {
    const budget = budgetOf({ total: total * MIB, heap: heap * MIB });
    expect(Math.abs(budget.series / series - 1)).toBeLessThan(0.15);
    expect(Math.abs(budget.streams / streams - 1)).toBeLessThan(0.15);
  });

  test('grows with memory, and never goes beyond it', () => {
    let before = budgetOf({ total: 0, heap: 0 });
    expect(before.series).toBeGreaterThan(0);
    for (let total = 256; total <= 16_384; total *= 2) {
      const budget = budgetOf({ total: total * MIB, heap: total * 0.7 * MIB });
      expect(budget.series).toBeGreaterThanOrEqual(before.series);
      expect(budget.unfinishedMessageBytes + budget.unfinishedBatchBytes + budget.pendingBytes).toBeLessThan(
        (total * MIB) / 4,
      );
      before = budget;
    }
  });
});
