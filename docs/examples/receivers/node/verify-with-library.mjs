import { Webhook } from 'standardwebhooks';

/** Throws unless a message is authentic, unaltered and recent. `body`: the received bytes, or their text in UTF-8. */
export function verify(secret, headers, body) {
  new Webhook(secret).verify(body, headers);
}
