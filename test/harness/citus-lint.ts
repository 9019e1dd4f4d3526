/**
 * Finds in the text of a statement what Citus refuses, or executes on every server: by PostgreSQL's own parser, without
 * a server.
 */
import { loadModule, parseSync } from 'libpg-query';
import type { Placements } from '../../src/platform/database/sql/tables';

/** A part of a syntax tree: a node, or its fields. */
type Fields = Record<string, unknown>;

const QUERIES = ['SelectStmt', 'InsertStmt', 'UpdateStmt', 'DeleteStmt', 'MergeStmt'];

/** The faults of a statement, in the words of the rule. */
export async function lintForCitus(text: string, placements: Placements): Promise<string[]> {
  await loadModule();
  const lint = new Lint(placements);
  for (const { stmt } of parseSync(text).stmts ?? []) lint.visit(stmt as Fields, new Set());
  return lint.faults();
}

/** One query of a statement: its tables by their names here, and the conditions that bind them to a tenant. */
interface Level {
  tables: Map<string, string>;
  ctes: Set<string>;
  conditions: Fields[];
}

class Lint {
  private readonly found = new Set<string>();
  private readonly seen = new Set<string>();
  private isRecursive = false;
  private isUnbound = false;

  constructor(private readonly placements: Placements) {}

  faults(): string[] {
    const placed = (placement: string): string[] =>
      [...this.seen].filter((table) => this.placements[table] === placement);
    if (placed('distributed').length > 0 && placed('local').length > 0) {
      this.found.add(`reads the local table ${placed('local').join(', ')} together with distributed ones`);
    }
    if (this.isRecursive && this.isUnbound) this.found.add('recurses over several tenants');
    return [...this.found].sort();
  }

  /** Visits each query below a node. */
  visit(node: unknown, ctes: ReadonlySet<string>): void {
    if (Array.isArray(node)) for (const one of node) this.visit(one, ctes);
    else if (typeof node === 'object' && node !== null) {
      for (const [type, value] of Object.entries(node)) {
        if (QUERIES.includes(type)) this.query(type, value as Fields, ctes);
        else this.visit(value, ctes);
      }
    }
  }

  private query(type: string, query: Fields, outer: ReadonlySet<string>): void {
    const ctes = new Set(outer);
    const { withClause } = query as { withClause?: { ctes: { CommonTableExpr: Fields }[]; recursive?: boolean } };
    this.isRecursive ||= withClause?.recursive ?? false;
    for (const { CommonTableExpr } of withClause?.ctes ?? []) ctes.add(CommonTableExpr.ctename as string);
    if (query.op !== undefined && query.op !== 'SETOP_NONE') {
      for (const side of [query.larg, query.rarg]) this.query('SelectStmt', side as Fields, ctes);
      this.visit(query.withClause, ctes);
      return;
    }
    const level: Level = { tables: new Map(), ctes, conditions: [] };
    if (query.relation !== undefined && type !== 'InsertStmt') this.table(query.relation as Fields, level);
    for (const item of [query.fromClause, query.usingClause].flat()) this.fromItem(item as Fields, level);
    conjuncts(query.whereClause, level.conditions);
    const unbound = unboundTables(level, this.placements);
    this.isUnbound ||= unbound.length > 0;
    for (const table of unbound) this.found.add(`does not bind ${table} to the tenant by a parameter in its own query`);
    if (type === 'InsertStmt') this.insert(query, ctes);
    if (callsFunction(query.returningClause)) this.found.add('calls a function in RETURNING');
    this.visit(query, ctes);
  }

  private table(relation: Fields, level: Level): void {
    const name = relation.relname as string;
    if (level.ctes.has(name)) return;
    this.seen.add(name);
    level.tables.set(((relation.alias as Fields | undefined)?.aliasname as string) ?? name, name);
  }

  private fromItem(item: Fields | undefined, level: Level): void {
    if (!item) return;
    if (item.RangeVar) this.table(item.RangeVar as Fields, level);
    if (!item.JoinExpr) return;
    const join = item.JoinExpr as Fields;
    this.fromItem(join.larg as Fields, level);
    this.fromItem(join.rarg as Fields, level);
    conjuncts(join.quals, level.conditions);
  }

  private insert(query: Fields, ctes: ReadonlySet<string>): void {
    const target = (query.relation as Fields).relname as string;
    this.seen.add(target);
    if (this.placements[target] !== 'distributed') return;
    const columns = (query.cols as { ResTarget: Fields }[] | undefined)?.map(({ ResTarget }) => ResTarget.name) ?? [];
    const at = columns.indexOf('tenant_id');
    const select = (query.selectStmt as Fields | undefined)?.SelectStmt as Fields | undefined;
    const rows = select?.valuesLists as { List: { items: unknown[] } }[] | undefined;
    if (rows) {
      if (rows.some(({ List }) => !isParameter(List.items[at])))
        this.found.add(`does not insert the tenant into ${target} by a parameter`);
      return;
    }
    const source: Level = { tables: new Map(), ctes: new Set(ctes), conditions: [] };
    for (const item of [select?.fromClause].flat()) this.fromItem(item as Fields, source);
    const tables = [...source.tables.values()].filter((table) => this.placements[table] === 'distributed');
    if (tables.length === 0) this.found.add(`inserts a SELECT without a table into ${target}`);
  }
}

/** Adds the conditions that all hold. */
function conjuncts(condition: unknown, to: Fields[]): void {
  if (!condition) return;
  const and = (condition as Fields).BoolExpr as { boolop: string; args: unknown[] } | undefined;
  if (and?.boolop === 'AND_EXPR') for (const one of and.args) conjuncts(one, to);
  else to.push(condition as Fields);
}

/** The distributed tables of a query whose tenant equals no parameter, directly or by another table of the query. */
function unboundTables({ tables, conditions }: Level, placements: Placements): string[] {
  const distributed = [...tables].filter(([, table]) => placements[table] === 'distributed');
  const bound = new Set<string>();
  for (let before = -1; bound.size !== before;) {
    before = bound.size;
    for (const condition of conditions) {
      const { kind, name, lexpr, rexpr } = (condition.A_Expr ?? {}) as {
        kind?: string;
        name?: { String: { sval: string } }[];
        lexpr?: Fields;
        rexpr?: Fields;
      };
      if (kind !== 'AEXPR_OP' || name?.[0]?.String.sval !== '=') continue;
      for (const [one, other] of [
        [lexpr, rexpr],
        [rexpr, lexpr],
      ]) {
        const alias = tenantOf(one, distributed);
        const from = tenantOf(other, distributed);
        if (alias !== undefined && (isParameter(other) || (from !== undefined && bound.has(from)))) bound.add(alias);
      }
    }
  }
  return distributed.filter(([alias]) => !bound.has(alias)).map(([, table]) => table);
}

/** The name of the table whose tenant the expression is. */
function tenantOf(expression: Fields | undefined, tables: [string, string][]): string | undefined {
  const column = expression?.ColumnRef as { fields: { String?: { sval: string } }[] } | undefined;
  const words = column?.fields.map((field) => field.String?.sval) ?? [];
  if (words.at(-1) !== 'tenant_id') return undefined;
  return words.length > 1 ? words.at(-2) : tables.length === 1 ? tables[0]?.[0] : undefined;
}

function isParameter(expression: unknown): boolean {
  const { ParamRef, TypeCast } = (expression ?? {}) as { ParamRef?: unknown; TypeCast?: { arg: unknown } };
  return ParamRef !== undefined || (TypeCast !== undefined && isParameter(TypeCast.arg));
}

function callsFunction(node: unknown): boolean {
  if (typeof node !== 'object' || node === null) return false;
  return Object.entries(node).some(
    ([type, value]) => type === 'FuncCall' || type === 'SQLValueFunction' || callsFunction(value),
  );
}
