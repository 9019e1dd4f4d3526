#!/usr/bin/env bash
# The drills. CI runs a part of them within ten minutes: image, compose, an order and its webhook, API server; DRILLS=all runs all. What cannot be had (Docker, a tool, a
# download that hangs) is skipped, loudly; what runs and fails is a failure. Stops what it started.
set -uo pipefail
cd "$(dirname "$0")/../.."
export GO_TOOLS_DIR=${GO_TOOLS_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/go-tools} DOCKER_BUILDKIT=0 COMPOSE_BAKE=false
DIR=${STAND_IN_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/stand-in-images}
until=$((SECONDS + ${SMOKE_SECONDS:-560}))
all=0
if [ "${DRILLS:-smoke}" = all ]; then all=1; fi
failed=0
started=

left() { echo $((until - SECONDS > 1 ? until - SECONDS : 1)); }
# Where everything can be had (GitHub), SKIPS=refused makes a failure of it.
skip() {
  printf '\n*** SKIPPED: %s: %s ***\n\n' "$1" "$2"
  if [ "${SKIPS:-}" = refused ]; then failed=1; fi
}
# Gets a tool: what fails or hangs here is a skip.
get() {
  local most=$1 what=$2
  shift 2
  timeout "$((most < $(left) ? most : $(left)))" "$@" >"$log" 2>&1 || { tail -3 "$log"; skip "$what" "cannot be had here"; return 1; }
}
# Runs a check. The end of the time is a skip, and anything else that fails is a failure.
check() {
  local what=$1 code
  shift
  timeout "$(left)" "$@"
  code=$?
  if [ $code = 124 ]; then skip "$what" 'no time left'; elif [ $code != 0 ]; then failed=1; echo "FAILED: $what"; fi
}
log=$(mktemp)
finish() {
  bash test/drills/kubernetes-api.sh stop >/dev/null 2>&1
  if [ -n "$started" ]; then kill "$started" 2>/dev/null; fi
  rm -f "$log"
}
trap finish EXIT

api_server() {
  export KUBE_API_DIR=${KUBE_API_DIR:-$(mktemp -d)}
  command -v kubectl >/dev/null && command -v jq >/dev/null || { skip 'Kubernetes' 'no kubectl or jq'; return; }
  command -v etcd >/dev/null || get 60 etcd apt-get install -qy --no-install-recommends etcd-server || return
  get 240 'Kubernetes API server' bash test/drills/tools.sh helm kube-apiserver || return
  check 'Kubernetes' bash test/drills/kubernetes.sh
}

compose() {
  get 240 'Compose' bash test/drills/tools.sh docker-compose || return
  local running=no
  docker info >/dev/null 2>&1 && running=yes
  get "$((all ? 600 : 200))" 'Docker' bash test/drills/images.sh $([ "$all" = 0 ] || echo more)
  local code=$?
  [ "$running" = yes ] || started=$(cat "$DIR/dockerd.pid" 2>/dev/null)
  [ $code = 0 ] || return
  # Without the registry the image cannot be built here; with it, a build that fails is a failure.
  local node
  node=$(sed -n 's/^FROM \(node:[^ ]*\).*/\1/p' Dockerfile | head -1)
  get 60 'the registry, from a container' docker run --rm --network host "$node" npm view fastify version || return
  check 'the image' docker build --network host -q -t orders-saas-api:local .
  docker image inspect orders-saas-api:local >/dev/null 2>&1 || return
  export COMPOSE=$GO_TOOLS_DIR/docker-compose
  check 'compose' node test/drills/compose.mjs "${DRILLS:-smoke}"
  [ "$all" = 1 ] || return
  # The commit before the newest migration: the upgrade has something to migrate.
  local before
  before=$(git log -1 --no-merges --format=%H -- migrations)^
  git archive "$before" 2>/dev/null | docker build --network host -q -t orders-saas-api:before - >"$log" 2>&1 ||
    skip 'upgrade' 'the image of an earlier commit cannot be built here'
  check 'machine' node test/drills/machine.mjs
}

[ "$(id -u)" = 0 ] || { skip 'all of it' 'not root'; exit 0; }
compose
api_server
exit "$failed"
