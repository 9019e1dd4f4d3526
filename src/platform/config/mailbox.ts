/** A mailbox as it is configured: `ada@example.com`, or `Ada Lovelace <ada@example.com>`. */
const MAILBOX = /^(?:([^<>"\p{Cc}]{0,200}?) ?<([^<>\s@]{1,64}@[^<>\s@]{1,253})>|([^<>\s@"]{1,64}@[^<>\s@"]{1,253}))$/u;

/** The name and the address of a mailbox. @throws Error completing "NAME …" */
export function readMailbox(text: string): { name: string; address: string } {
  const match = MAILBOX.exec(text.trim());
  if (!match) throw new Error('must be an address, or a name and an address such as Orders <no-reply@example.com>');
  return { name: match[1] ?? '', address: (match[2] ?? match[3]) as string };
}
