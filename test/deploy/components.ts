/** Overlays with components, as a site adds them to its own. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { stringify } from 'yaml';
import { KUBERNETES, type Manifest, renderManifests } from '../harness/manifests';
import { tmpdir } from 'node:os';

/** The objects of an overlay with components of deploy/kubernetes/components. @throws Error with kubectl's output */
export function renderWithComponents(overlay: string, components: string[]): Manifest[] {
  const folder = mkdtempSync(join(tmpdir(), 'orders-overlay-'));
  try {
    const from = (path: string): string => relative(folder, join(KUBERNETES, path));
    const kustomization = {
      apiVersion: 'kustomize.config.k8s.io/v1beta1',
      kind: 'Kustomization',
      resources: [from(`overlays/${overlay}`)],
      components: components.map((name) => from(`components/${name}`)),
    };
    writeFileSync(join(folder, 'kustomization.yaml'), stringify(kustomization));
    return renderManifests(relative(KUBERNETES, folder));
  } finally {
    rmSync(folder, { recursive: true });
  }
}
