import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { keepLog, keepSecretsOf, searchSuiteLog } from './suite-log';

describe('the search of a run’s log for its secrets', () => {
  const before = process.env.TEST_LOG_DIR;
  const dir = mkdtempSync(join(tmpdir(), 'suite-log-'));
  beforeAll(() => (process.env.TEST_LOG_DIR = dir));
  afterAll(() => {
    process.env.TEST_LOG_DIR = before;
    rmSync(dir, { recursive: true });
  });

  it('finds what stands there, whole or in part, and nothing else', () => {
    keepSecretsOf({ user: { password: 'correct horse battery staple' }, access_token: 'aaaa.bbbbbbbbbbbbbbbbbbbb.cc' });
    keepSecretsOf({
      data: [{ secret: 'whsec_0123456789abcdef0123/45+6=' }, { secret: 'whsec_thisoneisnotloggedatall' }],
    });
    keepSecretsOf({ password: 'too short', name: 'no secret, though it is long enough' });
    expect(searchSuiteLog(dir)).toEqual({ lines: 0, secrets: 4, found: [] });
    keepLog('{"msg":"signed in with correct horse battery staple"}\n');
    keepLog('{"msg":"?token=aaaa.bbbbbbbbbbbbbbbbbbbb.cc, no secret, though it is long enough"}');
    keepLog('{"msg":"too short: https://x.example/whsec_0123456789abcdef0123%2F45"}');
    expect(searchSuiteLog(dir)).toEqual({
      lines: 3,
      secrets: 4,
      found: ['correct horse battery staple', 'aaaa.bbbbbbbbbbbbbbbbbbbb.cc', 'whsec_0123456789abcdef0123/45+6='],
    });
  });
});
