/**
 * Import rules: `docs/architecture.md` explains them, `npm run check:structure` checks them. Type-only imports count as
 * imports. `scripts/check-folders.mjs` adds the rule that no folder imports a folder that imports it.
 *
 * The root module of each process defines its reach: `src/processes/api/api.module.ts` for the API,
 * `src/processes/worker/worker.module.ts` for the worker.
 */

/** Features that may import other features: [feature, the others]. Orders and webhooks meet only at the outbox. */
const FEATURES_THAT_MAY_MEET = [
  ['auth', ['users', 'tenants']],
  ['api-keys', ['auth']],
];

const TESTS = '\\.(spec|e2e-spec)\\.ts$';
const DUMPING_GROUNDS = ['/(common|utils|shared|helpers)/', '/index\\.ts$'];
const DATABASE_INSIDES = '^src/platform/database/connections/';
/**
 * The database of each narrow role and the folders that may import it. A role sees more than one tenant, or less than
 * the service, so that no other code is to hold it.
 */
const ROLE_DATABASES = {
  'sign-in-database': ['auth', 'users', 'tenants/operator', 'processes/admin'],
  'members-database': ['tenants'],
  'mail-database': ['mail'],
  'key-expiry-database': ['api-keys'],
  'audit-database': ['audit'],
  'eraser-database': ['tenants'],
  'epoch-database': ['platform/revocation'],
  'keys-database': ['platform/crypto', 'processes/admin', 'auth/totp'],
  'retention-database': ['retention'],
  'relay-database': ['platform/outbox'],
  'dispatcher-database': ['webhooks'],
  'operator-database': ['tenants/operator', 'processes/admin'],
};
const NAMED_ROLES = Object.keys(ROLE_DATABASES).join('|');

/** Folders of src that are no feature. */
const NO_FEATURES = 'platform/|processes/|dev/';

/** Each feature may import itself, the platform, and the features named above. */
const featureRules = [
  {
    name: 'features-do-not-meet',
    comment: 'A feature does not import another; exceptions stand at the top of the rule file.',
    severity: 'error',
    from: {
      path: `^src/(?!${NO_FEATURES})([^/]+)/`,
      pathNot: [TESTS, ...FEATURES_THAT_MAY_MEET.map(([feature]) => `^src/${feature}/`)],
    },
    to: { path: `^src/(?!${NO_FEATURES})[^/]+/`, pathNot: '^src/$1/' },
  },
  ...FEATURES_THAT_MAY_MEET.map(([feature, others]) => ({
    name: `${feature}-meets-${others.join('-and-')}-alone`,
    comment: 'A feature does not import another; exceptions stand at the top of the rule file.',
    severity: 'error',
    from: { path: `^src/${feature}/`, pathNot: TESTS },
    to: { path: `^src/(?!${NO_FEATURES})[^/]+/`, pathNot: [feature, ...others].map((name) => `^src/${name}/`) },
  })),
];

const roleRules = [
  ...Object.entries(ROLE_DATABASES).map(([file, folders]) => ({
    name: `${file}-has-its-folders`,
    comment: 'The database of a narrow role is imported by the folders that the rule file names.',
    severity: 'error',
    from: { path: '^src/', pathNot: [TESTS, ...folders.map((folder) => `^src/${folder}/`)] },
    to: { path: `^src/platform/database/roles/${file}\\.ts$` },
  })),
  {
    name: 'role-databases-are-named',
    comment: 'A new file in roles/ needs a line in ROLE_DATABASES before any code can import it.',
    severity: 'error',
    from: { path: '^src/', pathNot: TESTS },
    to: { path: '^src/platform/database/roles/', pathNot: `^src/platform/database/roles/(${NAMED_ROLES})\\.ts$` },
  },
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
    ...roleRules,
    {
      name: 'features-know-no-process',
      comment: 'A feature does not know which process it runs in.',
      severity: 'error',
      from: { path: `^src/(?!${NO_FEATURES})[^/]+/` },
      to: { path: '^src/(processes|dev)/|^src/main\\.ts$' },
    },
    {
      name: 'operator-commands-are-a-process-of-their-own',
      comment: 'The serving processes cannot reach the code that crosses tenants for the operator.',
      severity: 'error',
      from: { path: '^src/(processes/(api/api|worker/worker)\\.module|dev/start)\\.ts$' },
      to: {
        path: '^src/(processes/admin/|tenants/operator/|platform/database/roles/operator-database\\.ts$)',
        reachable: true,
      },
    },
    {
      name: 'operator-commands-are-loaded-by-main',
      comment: 'main.ts loads the operator commands on demand, and no other file does.',
      severity: 'error',
      from: { path: '^src/', pathNot: `^src/main\\.ts$|^src/processes/admin/|${TESTS}` },
      to: { path: '^src/processes/admin/' },
    },
    {
      name: 'operator-commands-send-nothing',
      comment: 'The commands make rows due; the dispatcher and the processors belong to the worker.',
      severity: 'error',
      from: { path: '^src/processes/admin/admin\\.ts$' },
      to: { path: '(\\.processor|/dispatcher|/worker\\.module|/api\\.module)\\.ts$', reachable: true },
    },
    {
      name: 'api-reaches-no-processor',
      comment: 'The API process publishes to the outbox; queue processors run in the worker.',
      severity: 'error',
      from: { path: '^src/processes/api/api\\.module\\.ts$' },
      to: { path: '\\.processor\\.ts$|^src/processes/worker/', reachable: true },
    },
    {
      name: 'worker-reaches-no-controller',
      comment: 'The worker serves no API.',
      severity: 'error',
      from: { path: '^src/processes/worker/worker\\.module\\.ts$' },
      to: { path: '^src/((?!platform/)[^/]+/.*\\.controller|processes/api/.*)\\.ts$', reachable: true },
    },
    {
      name: 'main-loads-one-process',
      comment: 'main.ts imports a process on demand. Only dev/start.ts may hold the API and the worker at once.',
      severity: 'error',
      from: { path: '^src/main\\.ts$' },
      to: { path: '^src/(.*\\.module|dev/.*|processes/[^/]+/.*)\\.ts$', dynamic: false },
    },
    {
      name: 'dev-is-for-laptops',
      comment: 'No deployed process reaches dev/, but for the command that makes a demo tenant.',
      severity: 'error',
      from: { path: '^src/', pathNot: `^src/(dev/|processes/admin/seed\\.command\\.ts$)|${TESTS}` },
      to: { path: '^src/dev/' },
    },
    {
      name: 'webhooks-leaves-import-no-sibling',
      comment: 'json-schema, http-client and notifications are leaves of the webhooks feature.',
      severity: 'error',
      from: { path: '^src/webhooks/(json-schema|http-client|notifications)/', pathNot: TESTS },
      to: { path: '^src/webhooks/', pathNot: '^src/webhooks/$1/' },
    },
    {
      name: 'webhooks-api-half-imports-no-leader-or-worker',
      comment: 'The API half speaks to the leader and the worker through the database, the queue and notifications.',
      severity: 'error',
      from: { path: '^src/webhooks/(event-types|endpoints|deliveries|events)/|^src/webhooks/webhooks\\.module\\.ts$' },
      to: { path: '^src/webhooks/(dispatch|sending)/' },
    },
    {
      name: 'webhooks-leader-and-worker-do-not-meet',
      comment: 'dispatch and sending speak through the queue and notifications.',
      severity: 'error',
      from: { path: '^src/webhooks/(dispatch|sending)/', pathNot: TESTS },
      to: { path: '^src/webhooks/(dispatch|sending)/', pathNot: '^src/webhooks/$1/' },
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
      from: { path: '^src/', pathNot: `^src/platform/(database|leader-election)/|^src/dev/|${TESTS}` },
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
