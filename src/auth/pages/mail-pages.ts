/**
 * The plain pages behind the links in mails. A page has no inline script or style, so that its policy can forbid them.
 * The token is in the address's fragment, which no server and no referrer sees, and only the button uses it: programs
 * that follow links in mails before people do use no token.
 */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { FORM_SCRIPT, FORM_STYLE } from './page-assets';

const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join(';');

interface Field {
  name: string;
  label: string;
  type: 'password' | 'text';
  autocomplete: string;
  required?: boolean;
}

interface MailPage {
  title: string;
  text: string;
  /** The route that the button calls, below the base path. */
  action: string;
  button: string;
  done: string;
  fields: Field[];
}

const PASSWORD: Field = { name: 'password', label: 'Password', type: 'password', autocomplete: 'current-password' };
const NEW_PASSWORD: Field = { name: 'password', label: 'New password', type: 'password', autocomplete: 'new-password' };

/** The pages by their paths, which are those of the links. */
export const MAIL_PAGES: Readonly<Record<string, MailPage>> = {
  '/verify-email': {
    title: 'Verify your e-mail address',
    text: 'Enter the password of your account. For a new account, choose one, and name yourself and your company.',
    action: 'auth/verify-email',
    button: 'Verify',
    done: 'The address is verified. You can sign in now.',
    fields: [
      { ...PASSWORD, required: true },
      { name: 'name', label: 'Your name (new account)', type: 'text', autocomplete: 'name' },
      { name: 'tenant_name', label: 'Company (new account)', type: 'text', autocomplete: 'organization' },
    ],
  },
  '/reset-password': {
    title: 'Choose a new password',
    text: 'All sessions of the account end.',
    action: 'auth/password/reset',
    button: 'Set the password',
    done: 'The password is set. You can sign in with it now.',
    fields: [{ ...NEW_PASSWORD, required: true }],
  },
  '/accept-invitation': {
    title: 'Accept the invitation',
    text: 'Enter the password of your account. Without an account, choose one.',
    action: 'auth/invitations/accept',
    button: 'Accept',
    done: 'You are a member now, and can sign in.',
    fields: [
      { ...PASSWORD, required: true },
      { name: 'name', label: 'Your name (new account)', type: 'text', autocomplete: 'name' },
    ],
  },
  '/confirm-email': {
    title: 'Confirm your new e-mail address',
    text: 'Enter the password of your account.',
    action: 'auth/email/confirm',
    button: 'Confirm',
    done: 'The address is changed.',
    fields: [{ ...PASSWORD, required: true }],
  },
  '/undo-email': {
    title: 'Undo the change of your e-mail address',
    text:
      'The old address is restored, all sessions end, and the password is no longer valid: a mail lets you ' +
      'choose a new one.',
    action: 'auth/email/undo',
    button: 'Undo the change',
    done: 'The change is undone. A mail in your mailbox has the link to a new password.',
    fields: [],
  },
};

/** The paths of the pages' script and style. */
export const PAGE_FILES = ['/mail-pages/page.js', '/mail-pages/page.css'];

/** Serves the pages. They are outside the base path, as the links in mails have them. */
export function serveMailPages(server: FastifyInstance): void {
  const send = (request: FastifyRequest, reply: FastifyReply, type: string, text: string) =>
    reply
      .headers({
        'content-type': `${type}; charset=utf-8`,
        'content-security-policy': POLICY,
        'referrer-policy': 'no-referrer',
        'cache-control': 'no-store',
        'x-request-id': request.id,
      })
      .send(text);
  for (const [path, page] of Object.entries(MAIL_PAGES)) {
    const html = render(page);
    server.get(path, (request, reply) => send(request, reply, 'text/html', html));
  }
  server.get('/mail-pages/page.js', (request, reply) => send(request, reply, 'application/javascript', FORM_SCRIPT));
  server.get('/mail-pages/page.css', (request, reply) => send(request, reply, 'text/css', FORM_STYLE));
}

function render({ title, text, action, button, done, fields }: MailPage): string {
  const inputs = fields.map(
    ({ name, label, type, autocomplete, required }) =>
      `      <label>${label} <input name="${name}" type="${type}" autocomplete="${autocomplete}" maxlength="200"${required ? ' required' : ''}></label>`,
  );
  // Addresses are relative: the service may be below a path of its host.
  return `<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <meta name="robots" content="noindex">
    <title>${title}</title>
    <link rel="stylesheet" href="mail-pages/page.css">
    <script src="mail-pages/page.js" defer></script>
  </head>
  <body>
    <h1>${title}</h1>
    <p>${text}</p>
    <form data-action="api/v1/${action}" data-done="${done}">
${inputs.join('\n')}
      <button type="submit">${button}</button>
    </form>
    <p role="status" id="outcome"></p>
    <noscript><p>This page needs JavaScript to read the link.</p></noscript>
  </body>
</html>
`;
}
