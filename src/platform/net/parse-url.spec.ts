import { parseUrl } from './parse-url';

describe('the URL of a text', () => {
  // Node compiles a function after some thousands of calls.
  it('is the same at the first call and at the hundred-thousandth', () => {
    const refused = Array.from({ length: 100_000 }, () => parseUrl('https://bücher.example/é')).filter((url) => !url);
    expect(refused).toHaveLength(0);
    expect(parseUrl('https://bücher.example/é')?.href).toBe('https://xn--bcher-kva.example/%C3%A9');
  });

  it('may be relative to another', () => {
    expect(parseUrl('/docs', 'https://api.example')?.href).toBe('https://api.example/docs');
  });

  it.each(['', 'bücher', '//bücher.example', 'https://', 'https://a b/', 'https://[::1'])('is none for %j', (text) => {
    expect(parseUrl(text)).toBeUndefined();
  });
});
