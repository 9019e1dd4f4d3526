/**
 * Who may import whom: `docs/adding-a-module.md` explains it, `npm run check:structure` checks it. Type-only imports
 * count as imports.
 *
 * The API and the worker are found by their modules: what `src/api.module.ts` reaches runs in the API process, what
 * `src/worker.module.ts` reaches in the worker.
 */

/** The features that another feature may use: [who, whom]. Orders and webhooks meet only at the outbox, never here. */
const FEATURES_THAT_MAY_MEET = [['auth', ['tenants', 'users']]];

const TESTS = '\\.(spec|e2e-spec)\\.ts$';
const DUMPING_GROUNDS = ['/(common|utils|shared|helpers)/', '/index\\.ts$'];
const DATABASE_INSIDES = '^src/platform/database/(core|pipeline|flight|query-runner)\\.ts$';

/** Every feature (a folder of src beside platform, and beside admin, which is a process) may import itself and those named above. */
const featureRules = [
  {
    name: 'features-do-not-meet',
    comment: 'A feature does not import another; exceptions stand at the top of the rule file.',
    severity: 'error',
    from: {
      path: '^src/(?!platform/|admin/)([^/]+)/',
      pathNot: [TESTS, ...FEATURES_THAT_MAY_MEET.map(([who]) => `^src/${who}/`)],
    },
    to: { path: '^src/(?!platform/)[^/]+/', pathNot: '^src/$1/' },
  },
  ...FEATURES_THAT_MAY_MEET.map(([who, whom]) => ({
    name: `${who}-meets-${whom.join('-and-')}-alone`,
    comment: 'A feature does not import another; exceptions stand at the top of the rule file.',
    severity: 'error',
    from: { path: `^src/${who}/`, pathNot: TESTS },
    to: { path: '^src/(?!platform/)[^/]+/', pathNot: [`^src/${who}/`, ...whom.map((feature) => `^src/${feature}/`)] },
  })),
];

/** @type {import('dependency-cruiser').IConfiguration} */
module.exports = {
  forbidden: [
    {
      name: 'platform-knows-no-feature',
      comment: 'Features stand on the platform, never the other way round.',
      severity: 'error',
      from: { path: '^src/platform/' },
      to: { path: '^src/(?!platform/)' },
    },
    ...featureRules,
    {
      name: 'features-know-no-process',
      comment: 'A feature does not know which process it runs in.',
      severity: 'error',
      from: { path: '^src/[^/]+/', pathNot: '^src/admin/' },
      to: { path: '^src/[^/]+\\.ts$' },
    },
    {
      name: 'operators-commands-are-a-process-of-their-own',
      comment: 'What serves or sends cannot reach what crosses tenants for the operator.',
      severity: 'error',
      from: { path: '^src/(api\\.module|worker\\.module|start)\\.ts$' },
      to: { path: '^src/(admin\\.ts$|admin/|platform/database/operator-database\\.ts$)', reachable: true },
    },
    {
      name: 'operators-commands-are-found-by-the-role',
      comment: 'main.ts loads them when it is told to, and nothing else does.',
      severity: 'error',
      from: { path: '^src/', pathNot: `^src/(main\\.ts$|admin\\.ts$|admin/)|${TESTS}` },
      to: { path: '^src/(admin\\.ts$|admin/)' },
    },
    {
      name: 'operators-commands-send-nothing',
      comment: 'They make rows due; the dispatcher and the processors are the worker’s.',
      severity: 'error',
      from: { path: '^src/admin\\.ts$' },
      to: { path: '(\\.processor|/dispatcher|^src/worker\\.module|^src/api\\.module)\\.ts$', reachable: true },
    },
    {
      name: 'api-reaches-no-processor',
      comment: 'The API process publishes to the outbox; what works on queues runs in the worker.',
      severity: 'error',
      from: { path: '^src/api\\.module\\.ts$' },
      to: { path: '(\\.processor|^src/worker\\.module|^src/worker)\\.ts$', reachable: true },
    },
    {
      name: 'worker-reaches-no-controller',
      comment: 'The worker serves no API.',
      severity: 'error',
      from: { path: '^src/worker\\.module\\.ts$' },
      to: { path: '^src/((?!platform/)[^/]+/.*\\.controller|api\\.module)\\.ts$', reachable: true },
    },
    {
      name: 'processes-load-only-themselves',
      comment: 'Only start.ts and demo.ts may hold the API and the worker at once; main.ts loads the role it is told.',
      severity: 'error',
      from: { path: '^src/main\\.ts$' },
      to: { path: '^src/(.*\\.module|worker|start|demo|admin)\\.ts$', dynamic: false },
    },
    {
      name: 'start-and-demo-are-for-laptops',
      comment:
        'Nothing that is deployed reaches what only a laptop needs, but for the command that makes a tenant to try with.',
      severity: 'error',
      from: {
        path: '^src/',
        pathNot: `^src/(start|demo|admin/seed\\.command)\\.ts$|^src/platform/database/embedded-postgres|${TESTS}`,
      },
      to: { path: '^src/(start|demo)\\.ts$|^src/platform/database/embedded-postgres' },
    },
    {
      name: 'connections-stay-in-the-database',
      comment: 'A feature is handed transactions that are bound to a tenant; it never sees a connection.',
      severity: 'error',
      from: { path: '^src/', pathNot: '^src/platform/database/' },
      to: { path: DATABASE_INSIDES },
    },
    {
      name: 'pg-stays-in-the-database',
      comment: 'The driver is used in platform/database alone (and by tests, which look behind the walls).',
      severity: 'error',
      from: { path: '^src/', pathNot: `^src/platform/database/|${TESTS}` },
      to: { path: '^node_modules/(@types/)?pg/', dependencyTypesNot: ['type-only'] },
    },
    {
      name: 'no-circles',
      severity: 'error',
      from: {},
      to: { circular: true },
    },
    {
      name: 'no-dumping-grounds',
      comment: 'No common, utils, shared or helpers: name the noun. No index.ts: import the file that has it.',
      severity: 'error',
      from: {},
      to: { path: DUMPING_GROUNDS, pathNot: '(^|/)node_modules/' },
    },
    {
      name: 'no-dumping-grounds-either',
      comment: 'The same, for what imports and is not imported.',
      severity: 'error',
      from: { path: DUMPING_GROUNDS, pathNot: '(^|/)node_modules/' },
      to: {},
    },
    {
      name: 'production-needs-no-tests',
      severity: 'error',
      from: { path: '^(src|migrations)/', pathNot: TESTS },
      to: { path: `^(test|bench|scripts)/|${TESTS}` },
    },
    {
      name: 'production-needs-no-dev-package',
      comment: 'The image is installed without devDependencies.',
      severity: 'error',
      from: { path: '^(src|migrations)/', pathNot: TESTS },
      to: { dependencyTypes: ['npm-dev', 'npm-no-pkg', 'npm-unknown'], dependencyTypesNot: ['type-only'] },
    },
    {
      name: 'migrations-stand-alone',
      comment: 'A merged migration never changes, so it uses nothing that may.',
      severity: 'error',
      from: { path: '^migrations/' },
      to: { path: '^src/' },
    },
    {
      name: 'everything-resolves',
      severity: 'error',
      from: {},
      to: { couldNotResolve: true },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'require', 'node', 'default', 'types'],
    },
  },
};
