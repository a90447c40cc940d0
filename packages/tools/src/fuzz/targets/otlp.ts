import { classifyMetricsResponse } from '@egressd/exporter/sinks/otlp/response';
import { partialSuccess } from '@egressd/world/receivers/otlp';
import { bytesOf, must, type Target } from '../target.ts';

/** Data points of the request that is answered. */
const POINTS = 100;
const KINDS = ['application/x-protobuf', 'application/json'];

/** What a receiver of OTLP answers. */
export const OTLP_ANSWER: Target = {
  name: 'otlp-answer',
  about: 'the answer to a request of OTLP',
  seeds: () => [
    partialSuccess(3, 'too old'),
    partialSuccess(0, 'a warning'),
    bytesOf('{"partialSuccess":{"rejectedDataPoints":"3","errorMessage":"too old"}}'),
    new Uint8Array(0),
  ],
  words: ['partialSuccess', 'rejectedDataPoints', 'errorMessage', '-1', '1e99', 'null'],
  run(input) {
    for (const type of KINDS)
      for (const status of [200, 400, 500]) {
        const body = Buffer.from(input);
        const quote = (text: string) => text.slice(0, 100);
        const answer = {
          status,
          headers: { 'content-type': type },
          text: '',
          body,
          quote,
          isHtml: false,
          redirect: undefined,
        };
        const result = classifyMetricsResponse(answer, POINTS, 'http://x', 0);
        must(status === 200 || !['ok', 'partial'].includes(result.outcome), 'stored, although the status says no');
        if (result.outcome !== 'partial') continue;
        must(Number.isInteger(result.refused), 'a number of points that is no whole number');
        must(result.refused > 0 && result.refused < POINTS, 'a part that is none');
      }
  },
};
