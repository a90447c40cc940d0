/** A name with more changes than this is no likely misspelling. */
const MAX_CHANGES = 3;
/** Fewer letters begin too many names. */
const MIN_START = 3;

/** ` (did you mean NAME?)` for the known name that `name` was probably meant to be, or nothing where none is near. */
export function didYouMean(name: string, known: readonly string[]): string {
  const near = nearest(name, known);
  return near === undefined ? '' : ` (did you mean ${near}?)`;
}

/** The known name with the fewest changes from `name`, or one that it begins, upper and lower case alike; undefined where none is near. */
export function nearest(name: string, known: readonly string[]): string | undefined {
  // In a short name three changes leave nothing of it.
  let best = Math.min(MAX_CHANGES, Math.floor(name.length / 2)) + 1;
  let found: string | undefined;
  for (const candidate of known) {
    // At least so many changes: a name may be a megabyte of a broken file.
    if (Math.abs(name.length - candidate.length) >= best) continue;
    const changes = distance(name.toLowerCase(), candidate.toLowerCase());
    if (changes < best) [best, found] = [changes, candidate];
  }
  return found ?? shortestBeginningWith(name.toLowerCase(), known);
}

function shortestBeginningWith(start: string, known: readonly string[]): string | undefined {
  if (start.length < MIN_START) return undefined;
  return known.filter((name) => name.toLowerCase().startsWith(start)).sort((a, b) => a.length - b.length)[0];
}

/** Changes from a to b, one character put in, taken out or exchanged at a time (Levenshtein, one row at a time). */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const exchanged = row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(exchanged, row[j]! + 1, next[j - 1]! + 1));
    }
    row = next;
  }
  return row[b.length]!;
}
