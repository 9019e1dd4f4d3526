import type { Browser, Page } from 'playwright-core';
import { linkTo } from '../../src/mail/sending/mail-sender';
import { toHtml, toText } from '../../src/mail/templates/layout';
import { TEMPLATES } from '../../src/mail/templates/templates';
import type { MailTemplates } from '../../src/platform/mail/mailer';
import { findChromium, startChromium } from '../harness/chromium';

const CHROMIUM = findChromium();
if (!CHROMIUM && process.env.CI !== 'true') {
  process.stderr.write(
    '\n  SKIPPED: mails are not looked at in a browser, for there is no Chromium (CHROMIUM_PATH).\n\n',
  );
}
const inBrowser = CHROMIUM || process.env.CI === 'true' ? describe : describe.skip;

/** User-chosen texts: markup, a link, and a word longer than a line. */
const NAME = `<img src=x onerror="window.hacked=1">https://evil.example/${'x'.repeat(120)}`;
const AT = '2026-01-31T12:00:00.000Z';
const WHERE = { at: AT, network: '2001:db8:1:2::/64', userAgent: NAME };
const TOKEN = `ott_${'0'.repeat(32)}_${'A'.repeat(43)}`;

/** Each template with its data; a new template is a type error here. */
const DATA: { [Name in keyof MailTemplates]: MailTemplates[Name] } = {
  verify_email: { token: TOKEN },
  address_known: WHERE,
  reset_password: { token: TOKEN },
  confirm_email: { token: TOKEN },
  undo_email: { token: TOKEN, newEmail: 'new@example.com' },
  invitation: { token: TOKEN, tenantName: NAME, inviterName: NAME, role: 'viewer' },
  test: { at: AT },
  new_sign_in: WHERE,
  password_changed: WHERE,
  factor_added: { ...WHERE, factor: 'totp' },
  factor_removed: { ...WHERE, factor: 'passkey' },
  recovery_code_used: { ...WHERE, left: 3 },
  recovery_codes_renewed: WHERE,
  factor_reset_announced: { at: AT, effectiveAt: AT },
  api_key_created: { ...WHERE, tenantName: NAME, keyName: NAME, kind: 'tenant' },
  api_key_expiring: { tenantName: NAME, keyName: NAME, expiresAt: AT },
  role_changed: { tenantName: NAME, from: 'viewer', to: 'admin' },
  member_added: { tenantName: NAME, memberEmail: 'ada@example.com', role: 'viewer' },
  member_removed: { tenantName: NAME, memberEmail: 'ada@example.com' },
  removed_from_tenant: { tenantName: NAME },
  endpoint_disabled: {
    tenantName: NAME,
    url: `https://receiver.example.com/${'y'.repeat(150)}`,
    reason: 'It answered 410.',
  },
  sso_changed: { tenantName: NAME, what: 'A domain was verified.' },
  owner_deactivated: { tenantName: NAME, ownerEmail: 'ada@example.com' },
  tenant_closed: { tenantName: NAME, erasedAt: AT },
  tenant_relaxed: { tenantName: NAME, what: 'Networks are no longer limited.' },
  owner_change_announced: { tenantName: NAME, memberEmail: 'ada@example.com', effectiveAt: AT },
  account_deleted: { erasedAt: AT },
};

interface Seen {
  overflow: number;
  title: string;
  links: string[];
  images: number;
  hacked: boolean;
  height: number;
  text: string;
}

/** Runs in the page. */
const LOOK = `({
  overflow: document.documentElement.scrollWidth - window.innerWidth,
  title: document.querySelector('h1').textContent,
  links: [...document.querySelectorAll('a')].map((anchor) => anchor.href),
  images: document.images.length,
  hacked: 'hacked' in window,
  height: document.querySelector('h1').getBoundingClientRect().height,
  text: document.body.innerText,
})`;

inBrowser('every mail, in a real browser', () => {
  let browser: Browser;
  let page: Page;
  const asked: string[] = [];

  beforeAll(async () => {
    browser = await startChromium(CHROMIUM as string);
    page = await browser.newPage();
    page.on('request', (request) => void asked.push(request.url()));
  });
  afterAll(() => browser.close());

  const link = linkTo({ APP_URL: 'https://app.example.com', PUBLIC_URL: undefined, PORT: 3000 });

  it.each(Object.keys(DATA) as (keyof MailTemplates)[])(
    '%s fits, has one link at most, and runs nothing',
    async (name) => {
      const template = TEMPLATES[name] as (data: unknown, link: unknown) => ReturnType<(typeof TEMPLATES)['test']>;
      const content = template(DATA[name], link);
      for (const width of [320, 1_024]) {
        await page.setViewportSize({ width, height: 800 });
        await page.setContent(toHtml(content));
        const seen = await page.evaluate<Seen>(LOOK);
        expect(seen).toMatchObject({ title: content.subject, images: 0, hacked: false });
        expect([name, width, seen.overflow <= 0, seen.height > 0]).toEqual([name, width, true, true]);
        expect(seen.links).toEqual(content.action ? [content.action.url] : []);
        for (const url of seen.links) expect(url).toMatch(/^https:\/\/app\.example\.com\/[a-z-]+#token=/);
        // The plain text says the same, and a program that makes links of names finds none.
        for (const paragraph of content.paragraphs) {
          expect(toText(content)).toContain(paragraph);
          expect(seen.text).toContain(paragraph);
        }
        expect(toText(content)).not.toContain('evil.example');
      }
      expect(asked).toEqual([]);
    },
  );
});
