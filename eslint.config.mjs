import tseslint from 'typescript-eslint';

/** What would let a feature reach past the transaction that it was handed. */
const CONNECTIONS = ['DataSource', 'EntityManager', 'QueryRunner', 'getMetadataArgsStorage', 'BaseEntity'];

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
      ],
    },
  },
  {
    files: ['src/**/*.ts'],
    ignores: ['src/platform/database/**', 'src/**/*.spec.ts'],
    rules: {
      'no-restricted-imports': [
        'error',
        {
          paths: [
            {
              name: 'typeorm',
              importNames: CONNECTIONS,
              message: 'A feature is handed transactions that are bound to a tenant; ask TenantDatabase for one.',
            },
          ],
        },
      ],
    },
  },
  { files: ['**/*.cjs'], rules: { '@typescript-eslint/no-require-imports': 'off' } },
);
