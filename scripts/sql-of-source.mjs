// The statements of the source, found by their form: an object with a name and a text, or with a name and rows. For
// `npm run record:statements` and the test that compares the recorded statements with the source.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import ts from 'typescript';

/** Statements of all files below a folder: where each is, and the forms of its name and of its text. */
export function statementsOfSource(folder) {
  const statements = [];
  for (const file of readdirSync(folder, { recursive: true })) {
    if (!file.endsWith('.ts') || file.endsWith('.spec.ts')) continue;
    const source = ts.createSourceFile(file, readFileSync(join(folder, file), 'utf8'), ts.ScriptTarget.Latest, true);
    const visit = (node) => {
      if (ts.isObjectLiteralExpression(node)) {
        const named = new Map(
          node.properties
            .filter((property) => ts.isPropertyAssignment(property) || ts.isShorthandPropertyAssignment(property))
            .map((property) => [property.name.getText(), property.initializer ?? null]),
        );
        const isStatement = named.has('name') && (named.has('text') || (named.has('table') && named.has('rows')));
        if (isStatement)
          statements.push({ file, names: formsOf(named.get('name')), texts: formsOf(named.get('text')) });
      }
      ts.forEachChild(node, visit);
    };
    visit(source);
  }
  return statements;
}

/** Whether a recorded statement is one of the source. */
export function isStatementOf({ names, texts }, { name, text }) {
  const plain = text.replace(/\s+/g, ' ').trim();
  return names.some((form) => form.test(name)) && texts.some((form) => form.test(plain));
}

/** Regular expressions of the texts that an expression can have; a computed part may be anything. */
function formsOf(expression) {
  return patternsOf(expression).map((pattern) => new RegExp(`^ ?${pattern} ?( returning 1)?(_\\d+)?$`));
}

function patternsOf(node) {
  if (node && (ts.isStringLiteral(node) || ts.isNoSubstitutionTemplateLiteral(node))) return [literal(node.text)];
  if (node && ts.isTemplateExpression(node)) {
    return [literal(node.head.text) + node.templateSpans.map((span) => `[^]*${literal(span.literal.text)}`).join('')];
  }
  if (node && ts.isConditionalExpression(node)) return [...patternsOf(node.whenTrue), ...patternsOf(node.whenFalse)];
  return ['[^]*'];
}

const literal = (text) =>
  text
    .replace(/\s+/g, ' ')
    .replace(/[.*+?^${}()|[\]\\]/g, '\\$&')
    .replaceAll(' ', ' ?');
