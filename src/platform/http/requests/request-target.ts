/**
 * A request's address in one form. Clients may write one address in many ways: absolute (`http://host/path`), with a
 * fragment, with letters percent-encoded. All later code (router, limits, metrics, problems, links) sees the form of
 * {@link canonicalTarget}, so that no two of them can read one address differently.
 */
const PLAIN = /^\/[A-Za-z0-9\-._~/]*(?:\?[^#]*)?$/;
const ABSOLUTE = /^[A-Za-z][A-Za-z0-9+.-]*:\/\/[^/?#]*/;
const UNRESERVED = /[A-Za-z0-9\-._~]/;
/** Characters that RFC 3986 allows in a path as they are. */
const NOT_IN_A_PATH = /[^A-Za-z0-9\-._~!$&'()*+,;=:@/%]/g;
const BROKEN_ESCAPE = /%(?![0-9A-Fa-f]{2})/g;

/**
 * The origin form of a request target (RFC 9112, 3.2), with unnecessary percent-encoding decoded (RFC 3986, 6.2.2.2). A
 * broken escape stays as it is: the router refuses it.
 */
export function canonicalTarget(method: string, target: string): string {
  // The server as a whole (`*`) has the same options as its root.
  if (target === '*') return method === 'OPTIONS' ? '/' : target;
  if (PLAIN.test(target)) return target;
  const origin = target.replace(ABSOLUTE, '').replace(/#.*$/s, '');
  const query = origin.indexOf('?');
  const path = query === -1 ? origin : origin.slice(0, query);
  const decoded = path.replace(/%[0-9A-Fa-f]{2}/g, (escape) => {
    const character = String.fromCharCode(parseInt(escape.slice(1), 16));
    return UNRESERVED.test(character) ? character : escape.toUpperCase();
  });
  return (decoded.startsWith('/') ? decoded : `/${decoded}`) + (query === -1 ? '' : origin.slice(query));
}

/** The path of a canonical target, without its query. */
export function pathOf(target: string): string {
  const query = target.indexOf('?');
  return query === -1 ? target : target.slice(0, query);
}

/** The path as a valid URI reference (RFC 3986), for a problem's `instance`, also after an invalid request. */
export function instanceOf(target: string): string {
  const path = pathOf(target);
  if (PLAIN.test(path)) return path.startsWith('//') ? `/.${path}` : path;
  const encoded = path
    .replace(BROKEN_ESCAPE, '%25')
    .replace(NOT_IN_A_PATH, (character) => Buffer.from(character, 'latin1').toString('hex').replace(/../g, '%$&'))
    .replace(/%[0-9a-f]{2}/gi, (escape) => escape.toUpperCase());
  return encoded.startsWith('//') ? `/.${encoded}` : encoded;
}
