import { writeFileSync } from 'node:fs';
import type { ApiClient } from '../harness/client';
import { Chromium, findChromium, type Page } from '../harness/chromium';
import { startService, type TestService } from '../harness/service';
import { until } from '../harness/until';

const CHROMIUM = findChromium();
if (!CHROMIUM && process.env.CI !== 'true') {
  process.stderr.write(
    '\n  SKIPPED: Swagger UI is not tried in a browser, for there is no Chromium here (CHROMIUM_PATH).\n\n',
  );
}
const inBrowser = CHROMIUM || process.env.CI === 'true' ? describe : describe.skip;

const OPERATIONS = '[...document.querySelectorAll(".opblock")]';
/** A browser beside other suites on few cores takes its time. */
jest.setTimeout(120_000);
const ME = '#operations-Auth-getMe';

describe('the documents', () => {
  let service: TestService;
  beforeAll(async () => {
    service = await startService();
  });
  afterAll(() => service.stop());

  it.each(['/docs', '/docs/'])('serves a page at %s that may run nothing but its own files', async (path) => {
    const answer = await service.client.get(path);
    expect(answer.status).toBe(200);
    expect(answer.headers.get('content-type')).toBe('text/html; charset=utf-8');
    expect(answer.headers.get('content-security-policy')).toBe(
      "default-src 'none';script-src 'self';style-src 'self';img-src 'self' data:;connect-src 'self';" +
        "base-uri 'none';form-action 'none';frame-ancestors 'none'",
    );
    expect(answer.text).not.toMatch(/<style|style=|<script>|\son\w+=|https?:/);
  });

  it('gives the page no more of the Swagger UI package than it needs', async () => {
    for (const path of [
      '/docs/package.json',
      '/docs/index.html',
      '/docs/swagger-initializer.js',
      '/docs/..%2fREADME.md',
    ]) {
      const answer = await service.client.get(path);
      expect([path, answer.status, answer.body?.type]).toEqual([path, 404, 'not_found']);
    }
  });

  it('lets nothing be run or shown anywhere else', async () => {
    for (const path of ['/health', '/openapi.json', '/auth/me', '/nowhere']) {
      const policy = (await service.client.get(path)).headers.get('content-security-policy');
      expect([path, policy]).toEqual([path, "default-src 'none';frame-ancestors 'none'"]);
    }
  });

  it('answers 404 to all of them where they are turned off', async () => {
    const silent = await startService({ env: { DOCS_ENABLED: 'false' }, database: service.database });
    try {
      for (const path of ['/docs', '/docs/', '/docs/swagger-ui.css', '/openapi.json', '/openapi.yaml']) {
        const answer = await silent.client.get(path);
        expect([path, answer.status, answer.body.type]).toEqual([path, 404, 'not_found']);
      }
    } finally {
      await silent.stop();
    }
  });
});

inBrowser('Swagger UI in Chromium', () => {
  let service: TestService;
  let tenant: ApiClient;
  let chromium: Chromium;
  let page: Page;

  beforeAll(async () => {
    if (!CHROMIUM) throw new Error('CI has no Chromium: install it, or name it in CHROMIUM_PATH');
    service = await startService();
    tenant = await service.tenant();
    chromium = Chromium.start(CHROMIUM);
    page = await chromium.open();
    await page.go(`${service.url}/docs`);
  });
  afterAll(async () => {
    await service?.stop();
    await chromium?.stop();
  });
  afterEach(() => {
    expect(page.faults).toEqual([]);
    expect(page.requests.filter((url) => !url.startsWith(`${service.url}/`) && !url.startsWith('data:'))).toEqual([]);
  });

  it('lists every operation of the document', async () => {
    const { paths, webhooks } = (await service.client.get('/openapi.json')).body as Record<string, object>;
    const count = [...Object.values(paths ?? {}), ...Object.values(webhooks ?? {})].flatMap(Object.keys).length;
    await page.until(`${OPERATIONS}.length === ${count}`);
  });

  it('takes a token by Authorize and calls the API with it', async () => {
    await page.click('.auth-wrapper .authorize');
    await page.type('#auth-bearer-value, .auth-container input', tenant.session?.access_token as string);
    await page.click('.auth-btn-wrapper button[type=submit]');
    await page.click('.auth-btn-wrapper .btn-done');
    await callMe(page);
    expect(await page.value(`document.querySelector('${ME} .live-responses-table').textContent`)).toContain(
      tenant.session?.user.email,
    );
  });

  it('keeps the token over a reload, and works at /docs/ too', async () => {
    await page.go(`${service.url}/docs/`);
    await page.until(`document.querySelector('.auth-wrapper .authorize.locked')`);
    await callMe(page);
  });

  it('forgets the token with the tab', async () => {
    expect(await page.value('localStorage.length')).toBe(0);
    expect(await page.value('sessionStorage.length')).toBe(1);
  });

  it('has Authorize at the top, and a filter', async () => {
    const top = (selector: string) =>
      page.value<number>(`document.querySelector('${selector}').getBoundingClientRect().top + window.scrollY`);
    await page.until(`document.querySelector('.auth-wrapper .authorize')`);
    expect(await top('.auth-wrapper .authorize')).toBeLessThan(200);
    expect(await top('.information-container')).toBeGreaterThan(await top('.auth-wrapper .authorize'));
    expect(await page.value(`document.querySelector('.operation-filter-input') !== null`)).toBe(true);
  });

  it('shows an operation in few screens, and a refusal of it when asked', async () => {
    const create = '#operations-Orders-createOrder';
    await page.click(`${create} .opblock-summary-control`);
    await page.until(`document.querySelectorAll('${create} .responses-table .response .refusal').length > 5`);
    const height = await page.value<number>(`document.querySelector('${create}').getBoundingClientRect().height`);
    expect(height).toBeLessThan(3_500);
    await page.click(`${create} .response[data-code="401"] .refusal`);
    await page.until(
      `document.querySelector('${create} .response[data-code="401"] .microlight, ${create} .response[data-code="401"] .highlight-code')`,
    );
    await page.click(`${create} .opblock-summary-control`);
  });

  it('fills in the name of an event type', async () => {
    const register = '[id$="-registerEventType"]';
    await page.click(`${register} .opblock-summary-control`);
    await page.click(`${register} .try-out__btn`);
    await page.until(`document.querySelector('${register} .parameters input')?.value === 'invoice.paid'`);
    await page.click(`${register} .opblock-summary-control`);
  });

  it('leaves optional parameters empty until they are filled in', async () => {
    const list = '#operations-Orders-listOrders';
    await page.click(`${list} .opblock-summary-control`);
    await page.click(`${list} .try-out__btn`);
    await page.until(`document.querySelector('${list} .execute')`);
    const filled = await page.value<string[]>(
      `[...document.querySelectorAll('${list} .parameters input, ${list} .parameters select')].map((field) => field.value).filter(Boolean)`,
    );
    expect(filled).toEqual(['20']);
    await page.click(`${list} .execute`);
    await page.until(`document.querySelector('${list} .live-responses-table .response-col_status')`);
    expect(await statusOf(page, list)).toBe('200');
  });

  it('shows operations of every section within its policy', async () => {
    const sections = 'document.querySelectorAll(".opblock-tag-section, .webhooks")';
    const first = `[...${sections}].map((section) => section.querySelector(".opblock")).filter(Boolean)`;
    const ids = await page.value<string[]>(`${first}.map((operation) => CSS.escape(operation.id))`);
    expect(ids.length).toBeGreaterThan(3);
    for (const id of ids) {
      const open = await page.value<boolean>(`document.querySelector('#${id}.is-open') !== null`);
      if (!open) await page.click(`#${id} .opblock-summary-control`);
      await page.until(`document.querySelector('#${id} .responses-table .response')`);
    }
    expect(await page.value(`document.querySelectorAll('.errors-wrapper').length`)).toBe(0);
    if (process.env.DOCS_PICTURE) {
      await page.value(`document.querySelector('#${ids[2]}').scrollIntoView()`);
      writeFileSync(process.env.DOCS_PICTURE, await page.picture());
    }
  });
});

inBrowser('the watch over the page', () => {
  it('sees what the policy forbids', async () => {
    const service = await startService();
    const chromium = Chromium.start(CHROMIUM as string);
    try {
      const page = await chromium.open();
      await page.go(`${service.url}/docs`);
      await page.until(`${OPERATIONS}.length`);
      await page.value(`document.body.insertAdjacentHTML('beforeend', '<img src="http://127.0.0.1:9/x.png">')`);
      await page.value(
        `document.body.append(Object.assign(document.createElement('script'), { text: 'window.ran = 1' }))`,
      );
      await until('two violations', () => page.faults.length >= 2);
      expect(page.faults.join()).toMatch(/img-src[\s\S]*script-src/);
      expect(await page.value('window.ran ?? 0')).toBe(0);
    } finally {
      await service.stop();
      await chromium.stop();
    }
  });
});

async function callMe(page: Page): Promise<void> {
  await page.click(`${ME} .opblock-summary-control`);
  await page.click(`${ME} .try-out__btn`);
  await page.click(`${ME} .execute`);
  await page.until(`document.querySelector('${ME} .live-responses-table .response-col_status')`);
  expect(await statusOf(page, ME)).toBe('200');
}

function statusOf(page: Page, operation: string): Promise<string> {
  return page.value(
    `document.querySelector('${operation} .live-responses-table tbody .response-col_status').firstChild.textContent.trim()`,
  );
}
