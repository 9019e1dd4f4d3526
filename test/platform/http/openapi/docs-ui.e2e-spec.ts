import type { ApiClient } from '../../../harness/client';
import type { Browser, Page } from 'playwright-core';
import { findChromium, openPage, startChromium, type WatchedPage } from '../../../harness/chromium';
import { startService, type TestService } from '../../../harness/service';
import { until } from '../../../harness/until';

const CHROMIUM = findChromium();
if (!CHROMIUM && process.env.CI !== 'true') {
  process.stderr.write(
    '\n  SKIPPED: Swagger UI is not tried in a browser, for there is no Chromium here (CHROMIUM_PATH).\n\n',
  );
}
const inBrowser = CHROMIUM || process.env.CI === 'true' ? describe : describe.skip;

/** A browser is slow while other suites run on few cores. */
const ME = '#operations-Auth-getMe';

describe('the documents', () => {
  let service: TestService;
  beforeAll(async () => {
    service = await startService();
  });
  afterAll(() => service.stop());

  it.each(['/docs', '/docs/'])('serves a page at %s that may run nothing but its own files', async (path) => {
    const response = await service.client.get(path);
    expect(response.status).toBe(200);
    expect(response.headers.get('content-type')).toBe('text/html; charset=utf-8');
    expect(response.headers.get('content-security-policy')).toBe(
      "default-src 'none';script-src 'self';style-src 'self';img-src 'self' data:;connect-src 'self';" +
        "base-uri 'none';form-action 'none';frame-ancestors 'none'",
    );
    expect(response.text).not.toMatch(/<style|style=|<script>|\son\w+=|https?:/);
  });

  it('gives the page no more of the Swagger UI package than it needs', async () => {
    for (const path of [
      '/docs/package.json',
      '/docs/index.html',
      '/docs/swagger-initializer.js',
      '/docs/..%2fREADME.md',
    ]) {
      const response = await service.client.get(path);
      expect([path, response.status, response.body?.type]).toEqual([path, 404, 'not_found']);
    }
  });

  it('lets nothing be run or shown anywhere else', async () => {
    for (const path of ['/health', '/openapi.json', '/auth/me', '/nowhere']) {
      const policy = (await service.client.get(path)).headers.get('content-security-policy');
      expect([path, policy]).toEqual([path, "default-src 'none';frame-ancestors 'none'"]);
    }
  });

  it('responds with 404 to all of them where they are turned off', async () => {
    const silent = await startService({ env: { DOCS_ENABLED: 'false' }, database: service.database });
    try {
      for (const path of ['/docs', '/docs/', '/docs/swagger-ui.css', '/openapi.json', '/openapi.yaml']) {
        const response = await silent.client.get(path);
        expect([path, response.status, response.body.type]).toEqual([path, 404, 'not_found']);
      }
    } finally {
      await silent.stop();
    }
  });
});

inBrowser('Swagger UI in Chromium', () => {
  let service: TestService;
  let tenant: ApiClient;
  let chromium: Browser;
  let watched: WatchedPage;
  let page: Page;

  beforeAll(async () => {
    if (!CHROMIUM) throw new Error('CI has no Chromium: install it, or name it in CHROMIUM_PATH');
    service = await startService();
    tenant = await service.tenant();
    chromium = await startChromium(CHROMIUM);
    watched = await openPage(chromium);
    page = watched.page;
    await page.goto(`${service.url}/docs`);
  });
  afterAll(async () => {
    await chromium?.close();
    await service?.stop();
  });
  afterEach(() => {
    expect(watched.faults).toEqual([]);
    expect(watched.requests.filter((url) => !url.startsWith(`${service.url}/`) && !url.startsWith('data:'))).toEqual(
      [],
    );
  });

  it('lists every operation of the document', async () => {
    const { paths, webhooks } = (await service.client.get('/openapi.json')).body as Record<string, object>;
    const count = [...Object.values(paths ?? {}), ...Object.values(webhooks ?? {})].flatMap(Object.keys).length;
    await until('all operations', async () => (await page.locator('.opblock').count()) === count, 60_000);
  });

  it('takes a token by Authorize and calls the API with it', async () => {
    await page.click('.auth-wrapper .authorize');
    await page.fill('#auth-bearer-value, .auth-container input', tenant.session?.access_token as string);
    await page.click('.auth-btn-wrapper button[type=submit]');
    await page.click('.auth-btn-wrapper .btn-done');
    await callMe(page);
    expect(await page.textContent(`${ME} .live-responses-table`)).toContain(tenant.session?.user.email);
  });

  it('keeps the token over a reload, and works at /docs/ too', async () => {
    await page.goto(`${service.url}/docs/`);
    await page.waitForSelector('.auth-wrapper .authorize.locked');
    await callMe(page);
  });

  it('forgets the token with the tab', async () => {
    expect(await page.evaluate('localStorage.length')).toBe(0);
    expect(await page.evaluate('sessionStorage.length')).toBe(1);
  });

  it('has Authorize at the top, and a filter', async () => {
    const top = async (selector: string) => {
      const scrolled = await page.evaluate<number>('window.scrollY');
      return ((await page.locator(selector).first().boundingBox())?.y ?? NaN) + scrolled;
    };
    await page.waitForSelector('.auth-wrapper .authorize');
    expect(await top('.auth-wrapper .authorize')).toBeLessThan(200);
    expect(await top('.information-container')).toBeGreaterThan(await top('.auth-wrapper .authorize'));
    expect(await page.locator('.operation-filter-input').count()).toBe(1);
  });

  it('shows an operation in few screens, and a refusal of it on request', async () => {
    const create = '#operations-Orders-createOrder';
    await page.click(`${create} .opblock-summary-control`);
    await page.locator(`${create} .responses-table .response .refusal`).nth(5).waitFor();
    const box = await page.locator(create).boundingBox();
    expect(box?.height).toBeLessThan(3_500);
    await page.click(`${create} .response[data-code="401"] .refusal`);
    const refusal = `${create} .response[data-code="401"]`;
    await page.locator(`${refusal} .microlight, ${refusal} .highlight-code`).first().waitFor();
    await page.click(`${create} .opblock-summary-control`);
  });

  it('fills in the name of an event type', async () => {
    const register = '[id$="-registerEventType"]';
    await page.click(`${register} .opblock-summary-control`);
    await page.click(`${register} .try-out__btn`);
    const name = page.locator(`${register} .parameters input`).first();
    await until('the name', async () => (await name.inputValue()) === 'invoice.paid', 60_000);
    await page.click(`${register} .opblock-summary-control`);
  });

  it('leaves optional parameters empty until they are filled in', async () => {
    const list = '#operations-Orders-listOrders';
    await page.click(`${list} .opblock-summary-control`);
    await page.click(`${list} .try-out__btn`);
    await page.waitForSelector(`${list} .execute`);
    const fields = await page.locator(`${list} .parameters input, ${list} .parameters select`).all();
    const values = await Promise.all(fields.map((field) => field.inputValue()));
    expect(values.filter(Boolean)).toEqual(['20']);
    await page.click(`${list} .execute`);
    expect(await statusOf(page, list)).toBe('200');
  });

  it('shows operations of every section within its policy', async () => {
    const sections = await page
      .locator('.opblock-tag-section, .webhooks')
      .filter({ has: page.locator('.opblock') })
      .all();
    expect(sections.length).toBeGreaterThan(3);
    for (const section of sections) {
      const operation = section.locator('.opblock').first();
      const isOpen = (await operation.getAttribute('class'))?.includes('is-open');
      if (!isOpen) await operation.locator('.opblock-summary-control').click();
      await operation.locator('.responses-table .response').first().waitFor();
    }
    expect(await page.locator('.errors-wrapper').count()).toBe(0);
    if (process.env.DOCS_PICTURE) await page.screenshot({ path: process.env.DOCS_PICTURE });
  });
});

inBrowser('the watch over the page', () => {
  it('sees what the policy forbids', async () => {
    const service = await startService();
    const chromium = await startChromium(CHROMIUM as string);
    try {
      const { page, faults } = await openPage(chromium);
      await page.goto(`${service.url}/docs`);
      await page.locator('.opblock').first().waitFor();
      await page.evaluate(`document.body.insertAdjacentHTML('beforeend', '<img src="http://127.0.0.1:9/x.png">')`);
      await page.evaluate(
        `document.body.append(Object.assign(document.createElement('script'), { text: 'window.ran = 1' }))`,
      );
      await until('two violations', () => faults.length >= 2);
      expect(faults.join()).toMatch(/img-src[\s\S]*script-src/);
      expect(await page.evaluate('window.ran ?? 0')).toBe(0);
    } finally {
      await chromium.close();
      await service.stop();
    }
  });
});

async function callMe(page: Page): Promise<void> {
  await page.click(`${ME} .opblock-summary-control`);
  await page.click(`${ME} .try-out__btn`);
  await page.click(`${ME} .execute`);
  expect(await statusOf(page, ME)).toBe('200');
}

/** The status of a response that the page shows, once it does. */
async function statusOf(page: Page, operation: string): Promise<string> {
  const cell = page.locator(`${operation} .live-responses-table tbody .response-col_status`).first();
  return (
    (
      await cell.evaluate<string | null, { firstChild: { textContent: string | null } }>(
        (node) => node.firstChild.textContent,
      )
    )?.trim() ?? ''
  );
}
