/**
 * The parts of an endpoint's URL and headers that only users who may write webhooks see: often a receiver's
 * credentials. The row keeps both masked, as they are shown, and beside them the whole of them, encrypted.
 */
import { Inject, Injectable } from '@nestjs/common';
import { ValidationFailed, type FieldFault } from '../../platform/errors';
import { SECRET_BOX, type SecretBox } from '../../platform/crypto/secret-box.module';
import { secretContext } from './endpoint-secrets';
import type { WebhookEndpoint } from './webhook-endpoint.entity';

/** The mask of a value. */
const MASK = '***';

/** An endpoint's URL and headers, as they are sent. */
export interface EndpointParts {
  url: string;
  headers: Record<string, string>;
}

type Owner = Pick<WebhookEndpoint, 'tenantId' | 'id'>;
/** The columns that hold them. */
export type PartsColumns = Pick<WebhookEndpoint, 'url' | 'headers' | 'encryptedParts'>;

/** The URL with its query masked. */
export function maskUrl(url: string): string {
  const query = url.indexOf('?');
  return query < 0 ? url : `${url.slice(0, query)}?${MASK}`;
}

/** The headers with their values masked. */
function maskHeaders(headers: Record<string, string>): Record<string, string> {
  return Object.fromEntries(Object.keys(headers).map((name) => [name, MASK]));
}

/** Whether masking hides anything of them. */
export function haveSecrets({ url, headers }: EndpointParts): boolean {
  return url.includes('?') || Object.keys(headers).length > 0;
}

@Injectable()
export class EndpointPartsCipher {
  constructor(@Inject(SECRET_BOX) private readonly box: SecretBox) {}

  /** The columns for a URL and headers. */
  encrypt(owner: Owner, { url, headers }: EndpointParts): PartsColumns {
    const encryptedParts = haveSecrets({ url, headers })
      ? this.box.encrypt(JSON.stringify({ url, headers }), secretContext(owner.tenantId, owner.id))
      : null;
    return { url: maskUrl(url), headers: maskHeaders(headers), encryptedParts };
  }

  /** The whole URL and headers; a row of a release that did not encrypt has them in clear. */
  decrypt({ tenantId, id, url, headers, encryptedParts }: Owner & PartsColumns): EndpointParts {
    if (encryptedParts === null) return { url, headers };
    return JSON.parse(this.box.decrypt(encryptedParts, secretContext(tenantId, id))) as EndpointParts;
  }
}

/**
 * The parts after a change. A masked value that the client sends back unchanged keeps its stored value.
 * @throws ValidationFailed if a mask has no stored value
 */
export function changedParts(
  stored: EndpointParts,
  change: { url?: string | undefined; headers?: Record<string, string> | undefined },
): EndpointParts {
  const faults: FieldFault[] = [];
  const fault = (field: string): void => {
    faults.push({ field, message: `${MASK} has no stored value; send the value itself`, code: 'masked' });
  };
  let { url } = stored;
  if (change.url !== undefined && change.url !== maskUrl(stored.url)) {
    if (change.url.endsWith(`?${MASK}`)) fault('url');
    url = change.url;
  }
  const storedValues = new Map(Object.entries(stored.headers).map(([name, value]) => [name.toLowerCase(), value]));
  const headers = change.headers === undefined ? stored.headers : { ...change.headers };
  if (change.headers !== undefined) {
    for (const [name, value] of Object.entries(headers)) {
      if (value !== MASK) continue;
      const known = storedValues.get(name.toLowerCase());
      if (known === undefined) fault(`headers.${name}`);
      else headers[name] = known;
    }
  }
  if (faults.length > 0) throw new ValidationFailed(faults);
  return { url, headers };
}
