/** Kubernetes manifests for tests: read, rendered by kubectl, and type-checked. */
import { execFileSync, spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import ts from 'typescript';
import { parseAllDocuments } from 'yaml';

const ROOT = join(__dirname, '..', '..');
/** The folder of the manifests. */
export const KUBERNETES = join(ROOT, 'deploy', 'kubernetes');

/** Any object of Kubernetes, as it is written. */
export interface Manifest {
  apiVersion: string;
  kind: string;
  metadata?: {
    name: string;
    namespace?: string;
    labels?: Record<string, string>;
    annotations?: Record<string, string>;
  };
}

/** Every object of a file's text. */
export function parseManifests(text: string): Manifest[] {
  return parseAllDocuments(text).map((document) => {
    if (document.errors[0]) throw document.errors[0];
    return document.toJS() as Manifest;
  });
}

/** The objects in the files of a folder below {@link KUBERNETES}. */
export function readManifests(folder: string): Manifest[] {
  const files = readdirSync(join(KUBERNETES, folder)).filter((file) => file.endsWith('.yaml'));
  return files.flatMap((file) => parseManifests(readFileSync(join(KUBERNETES, folder, file), 'utf8')));
}

/** Whether kubectl is available to render; Debian has no package of it, so that CI may lack it. */
export function hasKubectl(): boolean {
  const found = spawnSync('kubectl', ['version', '--client']).status === 0;
  if (!found) {
    process.stderr.write(
      '\n*** kubectl is not installed: overlays are NOT RENDERED, only their files are checked ***\n\n',
    );
  }
  return found;
}

/** The objects that `kubectl apply -k` would send. @throws Error with kubectl's output */
export function renderManifests(folder: string): Manifest[] {
  return parseManifests(execFileSync('kubectl', ['kustomize', join(KUBERNETES, folder)], { encoding: 'utf8' }));
}

/** kustomize's own file, as far as ours use it; kubernetes-types has none. */
const KUSTOMIZATION = `
interface Kustomization {
  apiVersion: 'kustomize.config.k8s.io/v1beta1';
  kind: 'Kustomization';
  namespace?: string;
  labels?: { pairs: Record<string, string>; includeSelectors?: boolean; includeTemplates?: boolean }[];
  resources: string[];
  images?: { name: string; newName: string; newTag: string }[];
  configMapGenerator?: { name: string; namespace?: string; behavior?: 'merge'; literals: string[] }[];
  patches?: { path: string }[];
}
/** A patch has but a part of what it changes. */
type Partially<T> = T extends object ? { [K in keyof T]?: Partially<T[K]> } : T;
`;

/** Declarations that were read before: the same for every check. */
const parsed = new Map<string, ts.SourceFile | undefined>();

/**
 * TypeScript's errors in manifests against `kubernetes-types`: an unknown or missing field, or another type.
 * @param patches whether these are patches, which may leave anything out
 */
export function typeFaults(manifests: readonly Manifest[], patches = false): string[] {
  const lines = [KUSTOMIZATION];
  const starts: { at: number; name: string }[] = [];
  for (const [index, manifest] of manifests.entries()) {
    starts.push({ at: lines.join('\n').length, name: `${manifest.kind} ${manifest.metadata?.name ?? ''}`.trim() });
    if (manifest.kind !== 'Kustomization') {
      const module = manifest.apiVersion.includes('/') ? manifest.apiVersion.replace('.k8s.io/', '/') : 'core/v1';
      lines.push(`import type { ${manifest.kind} as T${index} } from 'kubernetes-types/${module}';`);
    } else lines.push(`type T${index} = Kustomization;`);
    const type = patches ? `Partially<T${index}>` : `T${index}`;
    lines.push(`export const manifest${index} = ${JSON.stringify(manifest, null, 1)} satisfies ${type};`);
  }
  const source = lines.join('\n');
  const file = join(ROOT, 'manifests-to-check.ts');
  const options: ts.CompilerOptions = {
    strict: true,
    noEmit: true,
    target: ts.ScriptTarget.ES2023,
    lib: ['lib.es5.d.ts'],
    module: ts.ModuleKind.NodeNext,
    moduleResolution: ts.ModuleResolutionKind.NodeNext,
    skipLibCheck: true,
    types: [],
  };
  const host = ts.createCompilerHost(options);
  const { getSourceFile, fileExists, readFile } = host;
  host.getSourceFile = (name, ...rest) => {
    if (name === file) return ts.createSourceFile(name, source, ts.ScriptTarget.ES2023, true);
    if (!parsed.has(name)) parsed.set(name, getSourceFile(name, ...rest));
    return parsed.get(name);
  };
  host.fileExists = (name) => name === file || fileExists(name);
  host.readFile = (name) => (name === file ? source : readFile(name));
  const program = ts.createProgram([file], options, host);
  return ts.getPreEmitDiagnostics(program).map(({ start = 0, messageText }) => {
    const within = starts.filter(({ at }) => at <= start).pop();
    return `${within?.name}: ${ts.flattenDiagnosticMessageText(messageText, '\n')}`;
  });
}
