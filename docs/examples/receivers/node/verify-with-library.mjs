import { Webhook } from 'standardwebhooks';

/** Throws unless a message is authentic, unaltered and recent. `body` is the raw bytes, or the text they are in UTF-8. */
export function verify(secret, headers, body) {
  new Webhook(secret).verify(body, headers);
}
