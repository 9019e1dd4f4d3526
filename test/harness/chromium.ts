/** A real headless Chromium, driven by playwright, which records every error of a page. */
import { existsSync } from 'node:fs';
import { type Browser, chromium, type ConsoleMessage, type Page } from 'playwright-core';

const PATHS = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];
/** A browser beside other suites on few cores is slow. */
const TIMEOUT_MS = 60_000;

/** The path of Chromium on this machine (`CHROMIUM_PATH` first), or undefined. */
export function findChromium(): string | undefined {
  return [process.env.CHROMIUM_PATH ?? '', ...PATHS].find((path) => path !== '' && existsSync(path));
}

/** Starts a Chromium; the caller closes it. */
export function startChromium(executablePath: string): Promise<Browser> {
  return chromium.launch({
    executablePath,
    timeout: TIMEOUT_MS,
    args: ['--no-sandbox', '--disable-quic', '--disable-dev-shm-usage'],
  });
}

/** A tab with its requests and faults. */
export interface WatchedPage {
  page: Page;
  /** Every address that was requested. */
  requests: string[];
  /** Errors and warnings of the console, exceptions, violations of the policy, failed requests. */
  faults: string[];
}

/** Opens a tab. */
export async function openPage(browser: Browser): Promise<WatchedPage> {
  const page = await browser.newPage({ viewport: { width: 1400, height: 1200 } });
  page.setDefaultTimeout(TIMEOUT_MS);
  const requests: string[] = [];
  const faults: string[] = [];
  page.on('request', (request) => requests.push(request.url()));
  page.on('requestfailed', (request) => faults.push(`${request.url()}: ${request.failure()?.errorText}`));
  page.on('pageerror', (error) => faults.push(String(error)));
  page.on('console', (message: ConsoleMessage) => {
    if (['error', 'warning', 'assert'].includes(message.type())) {
      faults.push(`${message.text()} ${message.location().url}`);
    }
  });
  return { page, requests, faults };
}
