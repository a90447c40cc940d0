import type { HttpResponse } from '../http/client.ts';
import type { SendResult } from '../sink.ts';

/** So many 202 in a row from a receiver that has never said anything better: it is its way to say yes. */
const BELIEVED_AFTER = 4;

/**
 * What a 202 means: taken, and not said to be stored. Cortex and Mimir answer so to what they throw away as a duplicate of another
 * replica's (their HA tracker); others to everything, because they store it later. So it is sent again, the same, until there is a 200 or
 * 204; where a receiver never answers with these, and does not speak of replicas, it is believed, with a warning.
 */
export class AcceptedAnswers {
  #confirms = false;
  #inARow = 0;

  /** @param result what the response would mean otherwise */
  judge({ status, text }: HttpResponse, result: SendResult): SendResult {
    if (result.outcome !== 'ok') return result;
    if (status !== 202) {
      this.#confirms = true;
      this.#inARow = 0;
      return result;
    }
    const replica = /replica/i.test(text);
    this.#inARow++;
    const answered = `the receiver answered 202${text === '' ? '' : `: ${text}`}`;
    if (!replica && !this.#confirms && this.#inARow >= BELIEVED_AFTER)
      return { ...result, warning: `${answered} (taken, but not said to be stored)` };
    const advice = replica
      ? 'it throws away what it takes for a duplicate of another replica: give each exporter its own labels, or none that the HA tracker knows'
      : 'taken, but not said to be stored';
    return { outcome: 'retryable', status: '202', maybeStored: !replica, message: `${answered} (${advice})` };
  }
}
