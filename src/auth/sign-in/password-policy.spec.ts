import { hash } from '@node-rs/argon2';
import { ValidationFailed } from '../../platform/errors';
import { PasswordPolicy, type PasswordContext } from './password-policy';
import { hashPassword, verifyPassword } from './passwords';

describe('the password policy', () => {
  const refuses = (password: string, context?: PasswordContext): boolean => {
    try {
      new PasswordPolicy().check(password, context);
      return false;
    } catch (error) {
      expect(error).toBeInstanceOf(ValidationFailed);
      expect((error as ValidationFailed).errors).toEqual([
        { field: context?.field ?? 'password', message: expect.any(String), code: 'common_password' },
      ]);
      return true;
    }
  };

  it.each(['password', 'PassWord', '12345678', 'qwertyuiop', '        ', '\t \u3000     '])(
    'refuses %j',
    (password) => {
      expect(refuses(password)).toBe(true);
      expect(refuses(password, { field: 'new_password' })).toBe(true);
    },
  );

  it('refuses the e-mail address and the name of the company, in any case and normal form', () => {
    const context = { email: 'Ada@Example.com', tenantName: 'Café Zürich' };
    expect(refuses('ada@example.com', context)).toBe(true);
    expect(refuses('cafe\u0301 zu\u0308rich', context)).toBe(true);
    expect(refuses('café zürich 7', context)).toBe(false);
  });

  it.each(['correct horse battery', 'éàüöß€漢字', '🐎🐎🐎🐎🐎🐎🐎🔋', 'a b c d e f'])('takes %j', (password) => {
    expect(refuses(password)).toBe(false);
  });
});

describe('a stored password', () => {
  it('is the same in any composition of its characters', async () => {
    const stored = await hashPassword('cafe\u0301 au lait');
    expect(await verifyPassword(stored, 'caf\u00e9 au lait')).toBe(true);
    expect(await verifyPassword(stored, 'cafe\u0301 au lait')).toBe(true);
    expect(await verifyPassword(stored, 'cafe au lait')).toBe(false);
  });

  it('stays valid if it was hashed without normalization', async () => {
    const stored = await hash('cafe\u0301 au lait');
    expect(await verifyPassword(stored, 'cafe\u0301 au lait')).toBe(true);
    expect(await verifyPassword(undefined, 'no password at all')).toBe(false);
  });
});
