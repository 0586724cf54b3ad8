// The numbers of django_jugpush/core/codes.py; test/codes.test.js holds the two against each other.

/** Why a command was refused. */
export const ErrorCode = Object.freeze({
  INTERNAL: 100,
  DENIED: 103,
  UNKNOWN_TYPE: 104,
  ALREADY_SUBSCRIBED: 105,
  LIMIT_EXCEEDED: 106,
  BAD_REQUEST: 107,
  TOKEN_EXPIRED: 109,
  REAUTHORIZE: 110,
  INVALID_JSON: 120,
  INVALID_CHANNEL: 121,
  IDENTITY_MISMATCH: 122,
});

/** Why the server ended a connection. */
export const DisconnectCode = Object.freeze({
  SHUTDOWN: 3001,
  INTERNAL: 3004,
  NOT_THE_SERVER: 3005,
  SLOW: 3008,
  SENT_AWAY: 3011,
  NO_PONG: 3012,
  TOO_MANY_CONNECTIONS: 3014,
  TOO_MANY_ERRORS: 3501,
  NOT_TEXT: 3502,
  UNKNOWN_PROTOCOL: 3503,
  TOO_MANY_COMMANDS: 3505,
  ORIGIN_DENIED: 3507,
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
