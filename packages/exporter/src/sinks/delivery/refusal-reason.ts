/** What a receiver refuses a series for, as far as its words say. */
export type RefusalReason =
  /** It has as many series as it may. */
  | 'series_limit'
  /** Too many labels, or a name or value that is too long. */
  | 'label_limit'
  | 'out_of_order'
  | 'too_old'
  | 'too_new'
  /** Another value at the same time. */
  | 'duplicate'
  /** No refusal: it answers 5xx to this series, and takes others. */
  | 'failure'
  | 'other';

/** In this order: a text on labels may name a series, too. From the texts of Prometheus, Cortex, Mimir, Thanos and VictoriaMetrics. */
const WORDS: readonly (readonly [RegExp, RefusalReason])[] = [
  [
    /label[^.;:]{0,40}(too long|length|too large)|too many labels|label (names|count|limit)|max[-_]label/i,
    'label_limit',
  ],
  [/out[ -]of[ -]order/i, 'out_of_order'],
  [/out of bounds|too old|too far in the past/i, 'too_old'],
  [/in the future|too far ahead|too new/i, 'too_new'],
  [/duplicate sample|new[ -]value[ -]for[ -]timestamp/i, 'duplicate'],
  [/series[^.;]{0,40}limit|limit[^.;]{0,60}series|max[-_]\w*[-_]?series|too many series|cardinality/i, 'series_limit'],
];

/** @param message what the receiver answered */
export function refusalReason(message: string): RefusalReason {
  return WORDS.find(([words]) => words.test(message))?.[1] ?? 'other';
}
