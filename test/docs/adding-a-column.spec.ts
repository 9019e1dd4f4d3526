import { readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import ts from 'typescript';

const ROOT = join(__dirname, '..', '..');

/** The first diff below a heading of the page, as the new text of each file. */
function applied(heading: string): Map<string, string> {
  const page = readFileSync(join(ROOT, 'docs', 'adding-a-module.md'), 'utf8');
  const section = page.slice(page.indexOf(`\n## ${heading}\n`));
  const diff = /```diff\n(.*?)```/s.exec(section)?.[1] ?? '';
  const files = new Map<string, string>();
  for (const part of diff.split(/^\+\+\+ b\//m).slice(1)) {
    const [path = '', ...hunks] = part.split(/\n@@\n/);
    const file = join(ROOT, path.trim());
    let text = readFileSync(file, 'utf8');
    for (const hunk of hunks) {
      const lines = hunk.replace(/\n$/, '').split('\n');
      const side = (sign: string) =>
        lines
          .filter((line) => !line.startsWith(sign))
          .map((line) => line.slice(1))
          .join('\n');
      const [before, after] = [side('+'), side('-')];
      if (!text.includes(before)) throw new Error(`${path} has no lines\n${before}`);
      text = text.replace(before, () => after);
    }
    files.set(file, text);
  }
  return files;
}

/** The type errors of src/orders with these texts in place of the files. */
function typeErrors(files: Map<string, string>): string[] {
  const { config } = ts.readConfigFile(join(ROOT, 'tsconfig.json'), (path) => ts.sys.readFile(path));
  const { options } = ts.parseJsonConfigFileContent(config, ts.sys, ROOT);
  const host = ts.createCompilerHost(options);
  const read = host.readFile.bind(host);
  host.readFile = (path) => files.get(path) ?? read(path);
  const getSourceFile = host.getSourceFile.bind(host);
  host.getSourceFile = (path, version, ...rest) => {
    const text = files.get(path);
    return text === undefined ? getSourceFile(path, version, ...rest) : ts.createSourceFile(path, text, version, true);
  };
  const program = ts.createProgram([join(ROOT, 'src', 'orders', 'orders.module.ts')], options, host);
  const orders = program.getSourceFiles().filter(({ fileName }) => relative(ROOT, fileName).startsWith('src/orders/'));
  return orders
    .flatMap((source) => program.getSemanticDiagnostics(source))
    .map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, '\n'));
}

describe('a column of orders', () => {
  it('is added in four files beside its migration, which compile together', () => {
    const files = applied('Adding a column');
    expect([...files.keys()].map((file) => relative(ROOT, file))).toEqual([
      'src/orders/order.entity.ts',
      'src/orders/orders.requests.ts',
      'src/orders/orders.service.ts',
      'src/orders/orders.views.ts',
    ]);
    expect(typeErrors(files)).toEqual([]);

    // Without its reading from the request, the column of the entity does not compile.
    const service = [...files.keys()][2] as string;
    expect(typeErrors(new Map([...files].filter(([file]) => file !== service)))).not.toEqual([]);
  });
});
