import { readNodeAddresses } from './node-addresses';

it('reads names and addresses, those of IPv6 in brackets', () => {
  expect([...readNodeAddresses('10.0.0.1:5432=db-1.example.com:6432, [::1]:5433=[2001:db8::2]:5432')]).toEqual([
    ['10.0.0.1:5432', 'db-1.example.com:6432'],
    ['[::1]:5433', '[2001:db8::2]:5432'],
  ]);
});

it.each([
  '10.0.0.1:5432',
  '10.0.0.1=db-1',
  'a:1=b:2=c:3',
  'a:0=b:1',
  'a:1=b:65536',
  '::1:1=b:2',
  'a:1=postgres://b:2',
  'a:1=b:2,',
])('refuses %s', (text) => {
  expect(() => readNodeAddresses(text)).toThrow('must list NAME:PORT=HOST:PORT, comma-separated');
});

it('refuses a name twice', () => {
  expect(() => readNodeAddresses('a:1=b:2,a:1=c:3')).toThrow('has a:1 twice');
});
