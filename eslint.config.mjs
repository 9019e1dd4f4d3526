import tseslint from 'typescript-eslint';

/** What would let a feature reach past the transaction that it was handed. */
const CONNECTIONS = ['DataSource', 'EntityManager', 'QueryRunner', 'getMetadataArgsStorage', 'BaseEntity'];

/** Imports that no file may have but those of `platform/database`. */
const CONNECTIONS_RULE = {
  name: 'typeorm',
  importNames: CONNECTIONS,
  message: 'A feature is handed transactions that are bound to a tenant; ask TenantDatabase for one.',
};

/** What lets a controller write to the reply itself. */
const REPLY_RULE = {
  name: '@nestjs/common',
  importNames: ['Req', 'Request', 'Res', 'Response', 'Next'],
  message: 'A controller returns a value; platform/http/responses/results.ts has those that need a form of their own.',
};

const PHONE_RULE = {
  name: 'class-validator',
  importNames: ['IsPhoneNumber', 'isPhoneNumber'],
  message: 'The bundle of the image leaves the numbering plans out (scripts/build.mjs).',
};

/** What gives a success its status and headers, which features leave to the platform. */
const HTTP_RULES = [
  { group: ['**/http/api-prefix'], message: 'The platform makes Location; give an Outcome the id.' },
  {
    group: ['**/http/responses/etag', '**/http/responses/send-result'],
    message: 'The platform makes ETag of the version; a change is guarded by a Precondition.',
  },
  {
    group: ['**/http/responses/results'],
    importNames: ['WithStatus'],
    message: 'A service knows no status; its controller decides.',
  },
  {
    group: ['@nestjs/common'],
    importNamePattern: '^Http|Exception$',
    message: 'A service knows no status; throw an AppError.',
  },
];

export default tseslint.config(
  {
    ignores: ['dist*/', 'node_modules/', '.data/', 'coverage/', 'clients/*/dist/', 'clients/typescript/src/schema.ts'],
  },
  ...tseslint.configs.recommended,
  {
    rules: {
      eqeqeq: 'error',
      // Comments alone: prettier wraps the code.
      'max-len': ['error', { code: 1_000, comments: 120, ignoreUrls: true, ignorePattern: 'eslint-disable' }],
    },
  },
  {
    files: ['src/**/*.ts', 'migrations/**/*.ts', 'test/**/*.ts', 'bench/**/*.ts', 'clients/**/*.ts'],
    languageOptions: { parserOptions: { projectService: true } },
    rules: {
      '@typescript-eslint/no-explicit-any': 'error',
      '@typescript-eslint/no-floating-promises': 'error',
      '@typescript-eslint/no-misused-promises': ['error', { checksVoidReturn: false }],
      '@typescript-eslint/await-thenable': 'error',
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_' }],
    },
  },
  { files: ['src/**/*.ts'], ignores: ['src/**/*.spec.ts'], rules: { 'no-console': 'error' } },
  {
    files: ['src/**/*.ts', 'bench/**/*.mjs'],
    ignores: ['src/**/*.spec.ts'],
    rules: {
      'no-restricted-properties': [
        'error',
        {
          object: 'Date',
          property: 'now',
          message:
            'The wall clock steps: measure with performance.now(), and write new Date() for a time that is stored or sent.',
        },
        {
          object: 'URL',
          property: 'canParse',
          message: 'Compiled by Node 20 and 22, it refuses ä, é and the like: use parseUrl().',
        },
      ],
    },
  },
  {
    files: ['src/**/*.ts'],
    ignores: ['src/platform/database/**', 'src/**/*.spec.ts'],
    rules: {
      'no-restricted-imports': ['error', { paths: [CONNECTIONS_RULE, PHONE_RULE, REPLY_RULE] }],
    },
  },
  {
    files: ['src/**/*.ts'],
    ignores: ['src/{platform,processes,dev}/**', 'src/**/*.{controller,spec}.ts'],
    rules: {
      'no-restricted-imports': ['error', { paths: [CONNECTIONS_RULE, PHONE_RULE, REPLY_RULE], patterns: HTTP_RULES }],
    },
  },
  { files: ['**/*.cjs'], rules: { '@typescript-eslint/no-require-imports': 'off' } },
);
