// A position is `epoch:offset-ms`, and without an epoch a moment: all that was published before that millisecond.
const POSITION = /^([^:]*):(\d+)-(\d+)$/;

/** @param {string | undefined} position */
function partsOf(position) {
  const [, epoch = "", offset, ms] = POSITION.exec(position ?? "") ?? [];
  return { epoch, offset: offset === undefined ? undefined : Number(offset), ms: Number(ms) };
}

/**
 * The number of a publication in its stream; undefined if it was in none.
 *
 * @param {string | undefined} position
 */
export function offsetOf(position) {
  return partsOf(position).offset;
}

/**
 * Whether whoever starts at `since` needs more than whoever starts at `other`.
 *
 * @param {string} since
 * @param {string | undefined} other undefined: where the stream ends
 */
export function isOlder(since, other) {
  return other === undefined || partsOf(since).ms < partsOf(other).ms;
}

/**
 * Whether something may have been published after `since` and up to the position of those who are ahead.
 *
 * @param {string} since
 * @param {string | undefined} position
 */
export function isBehind(since, position) {
  const { epoch, ms } = partsOf(position);
  // The moment of an empty channel's subscription says of no publication.
  return since !== position && epoch !== "" && partsOf(since).ms <= ms;
}
