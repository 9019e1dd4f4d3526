import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const SCRIPT = join(__dirname, '..', '..', '..', '..', 'scripts', 'check-migrations.mjs');

/** A migration and the rule that is to refuse it. */
interface Sample {
  sql: string | string[];
  down?: string;
  rule: string;
  transaction?: boolean;
}

const OWN: Sample[] = [
  { sql: `update orders set notes = ''`, rule: 'no-backfill-at-once' },
  { sql: 'delete from order_history where created_at < now()', rule: 'no-backfill-at-once' },
  { sql: 'with old as (select id from orders) update orders set version = 2', rule: 'no-backfill-at-once' },
  { sql: 'select 1; truncate orders', rule: 'no-table-lock' },
  { sql: 'lock table orders', rule: 'no-table-lock' },
  { sql: 'vacuum (full) orders', rule: 'no-table-lock' },
  { sql: 'create index concurrently if not exists x on orders (notes)', rule: 'concurrently-in-no-transaction' },
  {
    sql: ['create index concurrently if not exists x on orders (notes)'],
    transaction: false,
    rule: 'no-lock-timeout-in-no-transaction',
  },
  {
    sql: ['set lock_timeout = 0', 'select 1; select 2', 'reset lock_timeout'],
    transaction: false,
    rule: 'one-command-a-query',
  },
  { sql: 'alter table orders add column x text; alter table orders add column y text', rule: 'one-command-a-query' },
  {
    sql: 'alter table orders add constraint c check (version in (1, 2)) not valid, add column x text',
    rule: 'add-constraint-alone',
  },
  {
    sql: 'alter table orders add column x text, add constraint c check (version > 1) not valid',
    rule: 'add-constraint-alone',
  },
  { sql: 'select 1', down: 'drop policy x on orders; drop policy y on orders', rule: 'one-command-a-query' },
];
const SQUAWK: Sample[] = [
  { sql: 'create index x on orders (notes)', rule: 'require-concurrent-index-creation' },
  { sql: 'drop index orders_status_idx', rule: 'require-concurrent-index-deletion' },
  { sql: 'alter table orders add column x text not null', rule: 'adding-required-field' },
  { sql: 'alter table orders alter column notes set not null', rule: 'adding-not-nullable-field' },
  { sql: 'alter table orders alter column notes type varchar(10)', rule: 'changing-column-type' },
  { sql: 'alter table orders rename column notes to note', rule: 'renaming-column' },
  { sql: 'alter table orders drop column notes', rule: 'ban-drop-column' },
  { sql: 'drop table orders', rule: 'ban-drop-table' },
  { sql: 'alter table orders add constraint c check (version > 1)', rule: 'constraint-missing-not-valid' },
  { sql: 'alter table orders add constraint u unique (tenant_id, notes)', rule: 'disallowed-unique-constraint' },
];
const SOUND: Omit<Sample, 'rule'>[] = [
  { sql: 'alter table orders add column x text' },
  { sql: 'alter table orders add constraint c check (version > 1) not valid' },
  {
    sql: '-- two; in a comment\nalter table orders add column x text;',
    down: `do $$ begin perform 1; perform 2; end $$;`,
  },
  { sql: 'alter table orders add constraint c check (version in (1, 2) or currency in (3, 4)) not valid' },
  { sql: `do $$ begin update orders set notes = ''; end $$` },
  { sql: 'grant update, delete on orders to app_service' },
  { sql: `-- allow no-backfill-at-once: has a row for each role, five\nupdate roles set name = ''` },
  { sql: '-- squawk-ignore ban-drop-column\nalter table orders drop column notes' },
  {
    sql: [
      'set lock_timeout = 0',
      'drop index concurrently if exists x',
      'create index concurrently if not exists x on orders (notes)',
      'reset lock_timeout',
    ],
    transaction: false,
  },
];

describe('npm run check:migrations', () => {
  const folders: string[] = [];
  afterAll(() => folders.forEach((folder) => rmSync(folder, { recursive: true })));

  function check(
    samples: Omit<Sample, 'rule'>[],
    env: Record<string, string> = {},
  ): { status: number | null; stderr: string } {
    const folder = mkdtempSync(join(tmpdir(), 'migrations-'));
    folders.push(folder);
    samples.forEach(({ sql, down = 'select 1', transaction = true }, at) => {
      const queries = [sql].flat().map((text) => `await runner.query(${JSON.stringify(text)});`);
      const source = `exports.Sample = class { transaction = ${transaction}; 
        async up(runner) { ${queries.join(' ')} }
        async down(runner) { await runner.query(${JSON.stringify(down)}); } };`;
      writeFileSync(join(folder, `${100 + at}-sample.js`), source);
    });
    return spawnSync(process.execPath, [SCRIPT, folder], { encoding: 'utf8', env: { ...process.env, ...env } });
  }

  function rulesOf(stderr: string): string[][] {
    const rules: string[][] = [];
    for (const line of stderr.split('\n')) {
      const [, at, rule] = /^(\d+)-sample(?:\.sql:[\d:]+ warning)?:? ([\w-]+)/.exec(line) ?? [];
      if (at && rule) (rules[Number(at) - 100] ??= []).push(rule);
    }
    return rules;
  }

  it('refuses statements that lock tables or break the running release, by rules of its own', () => {
    const { status, stderr } = check(OWN);
    expect(status).toBe(1);
    const rules = rulesOf(stderr);
    OWN.forEach(({ rule }, at) => expect(rules[at]).toContain(rule));
  });

  it('refuses it by the rules of squawk', () => {
    const { status, stderr } = check(SQUAWK);
    if (stderr.includes('NOT LINTED')) {
      console.warn('SKIPPED: squawk-cli has no program for this platform');
      return;
    }
    expect(status).toBe(1);
    const rules = rulesOf(stderr);
    SQUAWK.forEach(({ rule }, at) => expect(rules[at]).toContain(rule));
  });

  it('accepts sound statements, and declared exceptions', () => {
    expect(check(SOUND)).toMatchObject({ status: 0, stderr: expect.not.stringContaining('sample') });
  });

  it('warns where squawk has no binary, and applies its own rules', () => {
    const folder = mkdtempSync(join(tmpdir(), 'no-squawk-'));
    folders.push(folder);
    const preload = join(folder, 'platform.cjs');
    writeFileSync(preload, `Object.defineProperty(process, 'arch', { value: 'pdp11' });`);
    const env = { NODE_OPTIONS: `--require=${preload}` };
    expect(check(SQUAWK, env)).toMatchObject({ status: 0, stderr: expect.stringMatching(/^NOT LINTED: /) });
    expect(check(OWN, env)).toMatchObject({ status: 1, stderr: expect.stringMatching(/^NOT LINTED: /) });
  });

  it('refuses two migrations of one time', () => {
    const folder = mkdtempSync(join(tmpdir(), 'migrations-'));
    folders.push(folder);
    for (const name of ['a', 'b']) {
      writeFileSync(
        join(folder, `100-${name}.js`),
        `exports.Sample = class { async up(runner) { await runner.query('select 1'); } };`,
      );
    }
    const { status, stderr } = spawnSync(process.execPath, [SCRIPT, folder], { encoding: 'utf8' });
    expect([status, stderr]).toEqual([1, expect.stringContaining('100-b: another migration has the same time')]);
  });

  it('refuses a migration that queries the database, whose SQL cannot be known before', () => {
    const folder = mkdtempSync(join(tmpdir(), 'migrations-'));
    folders.push(folder);
    writeFileSync(
      join(folder, '100-sample.js'),
      `exports.Sample = class { name = 'Sample'; async up(runner) { if ((await runner.query('select 1')).length) return; } };`,
    );
    const { status, stderr } = spawnSync(process.execPath, [SCRIPT, folder], { encoding: 'utf8' });
    expect([status, stderr]).toEqual([1, expect.stringContaining('a migration cannot read results')]);
  });
});
