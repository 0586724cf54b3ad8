// Of the numbers of django_jugpush/core/codes.py those that mean something here; test/codes.test.js holds the two against
// each other.

/** Why a command was refused. */
export const ErrorCode = Object.freeze({
  INTERNAL: 100,
  DENIED: 103,
  TOKEN_EXPIRED: 109,
  IDENTITY_MISMATCH: 122,
});

/** Why the server ended a connection. */
export const DisconnectCode = Object.freeze({
  INTERNAL: 3004,
  LOGIN_ENDED: 3510,
});

/**
 * Whether a connection that ended with this code may be made again.
 *
 * @param {number} code
 */
export function mayReconnect(code) {
  return code < 3500 || code > 3999;
}
