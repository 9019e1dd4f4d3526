#!/usr/bin/env bash
# A real Kubernetes API server with its etcd, on loopback, without nodes and controllers: it checks, defaults and admits objects as
# a cluster does, pod security included. Usage: kubernetes-api.sh start | stop; start prints the path of a kubeconfig.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
DIR=${KUBE_API_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/orders-kubernetes-api}
PORT=${KUBE_API_PORT:-24543}
mkdir -p "$DIR"

stop() {
  for process in api etcd; do
    if [ -e "$DIR/$process.pid" ]; then kill "$(cat "$DIR/$process.pid")" 2>/dev/null || true; fi
    rm -f "$DIR/$process.pid"
  done
  rm -rf "$DIR/etcd"
}

case ${1:-} in
  stop) stop; exit 0 ;;
  start) stop ;;
  *) sed -n '2,3p' "$0"; exit 2 ;;
esac

tools=$("$here/tools.sh" kube-apiserver)
client="http://127.0.0.1:$((PORT - 64))" peer="http://127.0.0.1:$((PORT - 63))"
setsid etcd --data-dir "$DIR/etcd" --listen-client-urls "$client" --advertise-client-urls "$client" \
  --listen-peer-urls "$peer" --initial-advertise-peer-urls "$peer" --initial-cluster "default=$peer" >"$DIR/etcd.log" 2>&1 &
echo $! >"$DIR/etcd.pid"
[ -e "$DIR/account.key" ] || openssl genrsa -out "$DIR/account.key" 2048 2>/dev/null
openssl rsa -in "$DIR/account.key" -pubout -out "$DIR/account.pub" 2>/dev/null
token=$(openssl rand -hex 16)
echo "$token,admin,admin,\"system:masters\"" >"$DIR/tokens.csv"
setsid "$tools/kube-apiserver" --etcd-servers="$client" --bind-address=127.0.0.1 --advertise-address=127.0.0.1 \
  --secure-port="$PORT" --cert-dir="$DIR/certificates" --service-account-key-file="$DIR/account.pub" \
  --service-account-signing-key-file="$DIR/account.key" --service-account-issuer=https://kubernetes.default.svc \
  --token-auth-file="$DIR/tokens.csv" --authorization-mode=RBAC --service-cluster-ip-range=10.0.0.0/24 \
  --disable-admission-plugins=ServiceAccount >"$DIR/api.log" 2>&1 &
echo $! >"$DIR/api.pid"
cat >"$DIR/kubeconfig" <<CONFIG
apiVersion: v1
kind: Config
clusters: [{ name: drill, cluster: { server: 'https://127.0.0.1:$PORT', insecure-skip-tls-verify: true } }]
users: [{ name: admin, user: { token: $token } }]
contexts: [{ name: drill, context: { cluster: drill, user: admin } }]
current-context: drill
CONFIG
for _ in $(seq 120); do
  if kubectl --kubeconfig "$DIR/kubeconfig" get --raw /readyz >/dev/null 2>&1; then
    echo "$DIR/kubeconfig"
    exit 0
  fi
  sleep 0.5
done
tail -3 "$DIR/api.log" >&2
exit 1
