#!/usr/bin/env bash
# Applies overlays and chart to a real API server (kubernetes-api.sh): every object is accepted, and every pod template is admitted
# by the pod security of the namespace. Prints a line for each; ends with 1 where one is refused.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
config=$("$root/test/drills/kubernetes-api.sh" start)
trap '"$root/test/drills/kubernetes-api.sh" stop' EXIT
kube() { kubectl --kubeconfig "$config" "$@"; }
tools=$("$root/test/drills/tools.sh" helm)
namespace=orders-saas-api
failed=0

# The pods of every template, made for real: what admission refuses is refused here.
admit_pods() {
  kubectl create --dry-run=client -o json -f "$1" 2>/dev/null | jq -c '
    if .kind == "List" then .items[] else . end
    | (if .kind == "CronJob" then .spec.jobTemplate.spec.template else .spec.template end) as $template
    | select($template.spec.containers)
    | {apiVersion: "v1", kind: "Pod", metadata: {generateName: (.metadata.name + "-"), labels: $template.metadata.labels},
       spec: ($template.spec + {restartPolicy: "Never", topologySpreadConstraints: null})}'
}

# No controller runs here that would end a deleted namespace: what is in it goes instead.
clear_namespace() {
  kube -n "$namespace" delete --all --wait=false --grace-period=0 --force pods,deployments,jobs,cronjobs,services,ingresses,networkpolicies,configmaps,serviceaccounts,horizontalpodautoscalers,poddisruptionbudgets >/dev/null 2>&1 || true
}

apply() {
  local name=$1 file=$2 pod
  clear_namespace
  kube apply -f "$root/deploy/kubernetes/base/namespace.yaml" >/dev/null
  if ! kube apply --server-side --force-conflicts -f "$file" >"$file.log" 2>&1; then
    cat "$file.log"
    failed=1
  fi
  if grep -i warning "$file.log"; then failed=1; fi
  local admitted=0
  while read -r pod; do
    if kube -n "$namespace" create -f - >>"$file.log" 2>&1 <<<"$pod"; then
      admitted=$((admitted + 1))
    else
      tail -1 "$file.log"
      failed=1
    fi
  done < <(KUBECONFIG=$config admit_pods "$file")
  echo "$name: $(grep -c 'serverside-applied' "$file.log") objects applied, $admitted pods admitted"
  [ "$admitted" -ge 4 ] || failed=1
}

work=$(mktemp -d)
for overlay in small large; do
  kubectl kustomize "$root/deploy/kubernetes/overlays/$overlay" >"$work/$overlay.yaml"
  apply "overlays/$overlay" "$work/$overlay.yaml"
done
# As a site adds them to its overlay: logins of their own.
mkdir "$work/logins"
ln -s "$root/deploy/kubernetes" "$work/kubernetes"
cat >"$work/logins/kustomization.yaml" <<'SITE'
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
resources: [../kubernetes/overlays/small]
components: [../kubernetes/components/sign-in-login, ../kubernetes/components/queue-login]
SITE
kubectl kustomize "$work/logins" >"$work/logins.yaml"
apply 'overlays/small with logins' "$work/logins.yaml"
for values in small large; do
  "$tools/helm" template orders "$root/deploy/helm" -n "$namespace" --no-hooks --kube-version 1.34.0 \
    -f "$root/deploy/helm/values/$values.yaml" >"$work/helm-$values.yaml"
  apply "helm $values" "$work/helm-$values.yaml"
  clear_namespace
  "$tools/helm" install orders "$root/deploy/helm" -n "$namespace" --kubeconfig "$config" --dry-run=server \
    -f "$root/deploy/helm/values/$values.yaml" >"$work/install.log" 2>&1 || { tail -3 "$work/install.log"; failed=1; }
  echo "helm install --dry-run=server, $values: $(grep -c '^kind:' "$work/install.log") objects"
done
# Pod security is there, and refuses what asks for more.
if kube -n "$namespace" run privileged --image=busybox --privileged >"$work/refused" 2>&1; then
  echo 'a privileged pod was admitted'
  failed=1
fi
rm -rf "$work"
exit "$failed"
