#!/usr/bin/env bash
# Tools for the drills that come as Go modules alone, built once into $GO_TOOLS_DIR: helm, docker-compose, kube-apiserver,
# mailpit, jaeger.
# Usage: tools.sh TOOL...; prints the folder. Each takes some minutes on two cores.
set -euo pipefail
DIR=${GO_TOOLS_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/go-tools}
HELM=v3.22.0 COMPOSE=v2.40.3 KUBERNETES=v1.34.4
# Those of docker-compose.yml. Jaeger's module counts by itself: 2.11.0 is its v1.74.0.
MAILPIT=v1.33.1 JAEGER=v1.74.0
mkdir -p "$DIR"

# A module's source in a folder that may be changed.
source_of() {
  local from
  from=$(go mod download -json "$1" | sed -n 's/^\t"Dir": "\(.*\)",\{0,1\}$/\1/p')
  cp -r "$from" "$2"
  chmod -R u+w "$2"
}

# The staging modules of Kubernetes are published by themselves; its archive leaves their folders out.
build_kube_apiserver() {
  local folder=$1 module modules minor=${KUBERNETES#v1.}
  rm -rf "$folder/go.work" "$folder/go.work.sum" "$folder/vendor"
  modules=$(sed -n 's#^\t\(k8s.io/[^ ]*\) => ./staging.*#\1#p' "$folder/go.mod")
  sed -i '/^replace (/,/^)/d' "$folder/go.mod"
  for module in $modules; do sed -i "s#^\t$module v0\.0\.0.*#\t$module v0.$minor#" "$folder/go.mod"; done
  local version=k8s.io/component-base/version
  (cd "$folder" && GOFLAGS=-mod=mod go build -o "$DIR/kube-apiserver" \
    -ldflags "-X $version.gitVersion=$KUBERNETES -X $version.gitMajor=1 -X $version.gitMinor=${minor%%.*}" ./cmd/kube-apiserver)
}

for tool in "$@"; do
  [ -x "$DIR/$tool" ] && continue
  work=$(mktemp -d)
  case $tool in
    helm) GOBIN=$DIR go install "helm.sh/helm/v3/cmd/helm@$HELM" ;;
    docker-compose)
      source_of "github.com/docker/compose/v2@$COMPOSE" "$work/src"
      (cd "$work/src" && GOFLAGS=-mod=mod go build -o "$DIR/docker-compose" ./cmd)
      ;;
    mailpit) GOBIN=$DIR go install "github.com/axllent/mailpit@$MAILPIT" ;;
    jaeger)
      source_of "github.com/jaegertracing/jaeger@$JAEGER" "$work/src"
      (cd "$work/src" && GOFLAGS=-mod=mod go build -o "$DIR/jaeger" ./cmd/jaeger)
      ;;
    kube-apiserver)
      source_of "k8s.io/kubernetes@$KUBERNETES" "$work/src"
      build_kube_apiserver "$work/src"
      ;;
    *)
      echo "unknown tool $tool" >&2
      exit 2
      ;;
  esac
  rm -rf "$work"
done
echo "$DIR"
