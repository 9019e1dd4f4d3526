// The statements of the source, found by their form: an object with a name, a text and values, or with a name, a table
// and rows.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import ts from 'typescript';

const FORMS = [
  ['name', 'text', 'values'],
  ['name', 'table', 'columns', 'rows'],
];
/** The pattern of a computed text. */
const ANYTHING = '[^]*';

/**
 * Statements of all files below a folder: where each is, and the forms of its name and of its text. Objects whose name
 * is computed as a whole are left out: they stand for statements elsewhere.
 */
export function statementsOfSource(folder) {
  const statements = [];
  for (const file of readdirSync(folder, { recursive: true })) {
    if (!file.endsWith('.ts') || file.endsWith('.spec.ts')) continue;
    const source = ts.createSourceFile(file, readFileSync(join(folder, file), 'utf8'), ts.ScriptTarget.Latest, true);
    const visit = (node) => {
      if (ts.isObjectLiteralExpression(node)) {
        const parts = new Map(
          node.properties
            .filter((property) => ts.isPropertyAssignment(property) || ts.isShorthandPropertyAssignment(property))
            .map((property) => [property.name.getText(), property.initializer]),
        );
        if (FORMS.some((form) => form.every((part) => parts.has(part))) && isNamed(parts.get('name'))) {
          statements.push({
            file,
            label: parts.get('name').getText(),
            names: formsOf(parts.get('name')),
            texts: formsOf(parts.get('text')),
            literal: literalOf(parts.get('name'), parts.get('text')),
          });
        }
      }
      ts.forEachChild(node, visit);
    };
    visit(source);
  }
  return statements;
}

/** The statement itself if neither its name nor its text is computed. */
function literalOf(name, text) {
  const isLiteral = [name, text].every((node) => node && ts.isStringLiteralLike(node));
  return isLiteral ? { name: name.text, text: text.text } : undefined;
}

/** Whether a recorded statement is one of the source. */
export function isStatementOf(statement, { name, text }) {
  const plain = text.replace(/\s+/g, ' ').trim();
  return isNameOf(statement, name) && statement.texts.some((form) => form.test(plain));
}

/** Whether a name is one that the statement can have. */
export function isNameOf({ names }, name) {
  return names.some((form) => form.test(name));
}

function isNamed(name) {
  return patternsOf(name).every((pattern) => /[a-z]/.test(pattern.replaceAll(ANYTHING, '')));
}

/** Regular expressions of the texts that an expression can have; a computed part may be anything. */
function formsOf(expression) {
  return patternsOf(expression).map((pattern) => new RegExp(`^ ?${pattern} ?( returning 1)?(_\\d+)?$`));
}

function patternsOf(node) {
  if (node && (ts.isStringLiteral(node) || ts.isNoSubstitutionTemplateLiteral(node))) return [literal(node.text)];
  if (node && ts.isTemplateExpression(node)) {
    return [
      literal(node.head.text) + node.templateSpans.map((span) => `${ANYTHING}${literal(span.literal.text)}`).join(''),
    ];
  }
  if (node && ts.isConditionalExpression(node)) return [...patternsOf(node.whenTrue), ...patternsOf(node.whenFalse)];
  return [ANYTHING];
}

function literal(text) {
  return text
    .replace(/\s+/g, ' ')
    .replace(/[.*+?^${}()|[\]\\]/g, '\\$&')
    .replaceAll(' ', ' ?');
}
