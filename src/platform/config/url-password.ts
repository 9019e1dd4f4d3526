/** Passwords that are set separately from their URL: no character of them needs encoding by hand. */

/** The variable that holds a password, and the URL that it belongs to. */
const PASSWORDS = [
  ['DATABASE_PASSWORD', 'DATABASE_URL'],
  ['MIGRATION_DATABASE_PASSWORD', 'MIGRATION_DATABASE_URL'],
  ['REDIS_PASSWORD', 'REDIS_URL'],
] as const;

const AUTHORITY = /^([a-z+]+:\/\/)(?:([^/?#@]*)@)?/;

/**
 * Inserts each separate password into its URL.
 * @returns the faults: a URL that already has a password
 */
export function insertPasswords(values: Partial<Record<(typeof PASSWORDS)[number][number], string>>): string[] {
  return PASSWORDS.flatMap(([passwordName, urlName]) => {
    const [password, url] = [values[passwordName], values[urlName]];
    // One file of variables may serve several processes, and hold the password of a URL that this one does without.
    if (password === undefined || url === undefined) return [];
    const [head = '', scheme = '', user = ''] = AUTHORITY.exec(url) ?? [];
    if (user.includes(':')) return [`${passwordName} is set, and ${urlName} holds a password, too: leave one out`];
    values[urlName] = `${scheme}${user}:${encodeURIComponent(password)}@${url.slice(head.length)}`;
    return [];
  });
}
