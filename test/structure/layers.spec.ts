import { spawnSync } from 'node:child_process';
import { join } from 'node:path';

const ROOT = join(__dirname, '..', '..');

/** Lints texts as if they stood in these files, by the one rule, which needs no types. */
const LINT = `
  import { ESLint } from 'eslint';
  const eslint = new ESLint({
    overrideConfig: [{ languageOptions: { parserOptions: { projectService: false } } }],
    ruleFilter: ({ ruleId }) => ruleId === 'no-restricted-imports',
  });
  const refused = {};
  for (const [filePath, text] of JSON.parse(process.argv[1])) {
    const [result] = await eslint.lintText(text, { filePath });
    (refused[filePath] ??= []).push(...result.messages.map(({ message }) => message));
  }
  console.log(JSON.stringify(refused));
`;

function refusals(texts: readonly (readonly [file: string, text: string])[]): Record<string, string[]> {
  const args = ['--input-type=module', '-e', LINT, JSON.stringify(texts)];
  const { stdout, stderr } = spawnSync(process.execPath, args, { cwd: ROOT, encoding: 'utf8' });
  if (!stdout.startsWith('{')) throw new Error(stderr);
  return JSON.parse(stdout) as Record<string, string[]>;
}

describe('the layers of a request', () => {
  const controller = 'src/orders/orders.controller.ts';
  const service = 'src/orders/orders.service.ts';
  const recovery = 'src/webhooks/deliveries/recovery.ts';
  const adapter = 'src/platform/http/server/api-adapter.ts';

  it('keep the reply from controllers, and status and headers from what they call', () => {
    const refused = refusals([
      [controller, `import { Req, Res } from '@nestjs/common';\nexport const used = [Req, Res];\n`],
      [service, `import { API_PREFIX } from '../platform/http/api-prefix';\nexport const used = API_PREFIX;\n`],
      [service, `import { etagOf } from '../platform/http/responses/etag';\nexport const used = etagOf;\n`],
      [service, `import { WithStatus } from '../platform/http/responses/results';\nexport const used = WithStatus;\n`],
      [
        service,
        `import { HttpStatus, NotFoundException } from '@nestjs/common';\nexport { HttpStatus as a, NotFoundException as b };\n`,
      ],
      [recovery, `import { Res } from '@nestjs/common';\nexport const used = Res;\n`],
      [recovery, `import { DataSource } from 'typeorm';\nexport const used = DataSource;\n`],
      [adapter, `import { Res } from '@nestjs/common';\nexport const used = Res;\n`],
    ]);
    expect(refused[controller]).toEqual([expect.stringContaining('Req'), expect.stringContaining('Res')]);
    expect(refused[service]).toEqual(
      ['api-prefix', 'etag', 'WithStatus', 'HttpStatus', 'NotFoundException'].map((name) =>
        expect.stringContaining(name),
      ),
    );
    expect(refused[recovery]).toEqual([expect.stringContaining('Res'), expect.stringContaining('DataSource')]);
    expect(refused[adapter]).toEqual([expect.stringContaining('Res')]);
  });

  it('let a controller choose a status, and a service return its result', () => {
    const imports = (names: string): string =>
      `import { ${names} } from '../platform/http/responses/results';\nexport const used = [${names}];\n`;
    expect(
      refusals([
        [controller, imports('WithStatus, Download')],
        [service, imports('Outcome, Representation')],
      ]),
    ).toEqual({ [controller]: [], [service]: [] });
  });
});
