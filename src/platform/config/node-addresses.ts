const ADDRESS = /^(\[[\da-f:.]+\]|[\w.-]+):(\d{1,5})$/i;

/**
 * Reads the addresses of servers by their names in Citus: `NAME:PORT=HOST:PORT`, comma-separated.
 * @throws Error completing "NAME …"
 */
export function readNodeAddresses(text: string): ReadonlyMap<string, string> {
  const addresses = new Map<string, string>();
  for (const pair of text.split(',')) {
    const [name = '', address = '', ...rest] = pair.trim().split('=');
    if (!isAddress(name) || !isAddress(address) || rest.length > 0) {
      throw new Error('must list NAME:PORT=HOST:PORT, comma-separated');
    }
    if (addresses.has(name)) throw new Error(`has ${name} twice`);
    addresses.set(name, address);
  }
  return addresses;
}

function isAddress(text: string): boolean {
  const port = Number(ADDRESS.exec(text)?.[2]);
  return port > 0 && port <= 65_535;
}
