# One image for every role: docker run … orders-saas-api api | worker | migrate … | admin …

FROM node:24-bookworm-slim AS build
WORKDIR /app
COPY package.json package-lock.json ./
RUN npm ci --ignore-scripts --no-audit --no-fund
COPY .swcrc ./
COPY scripts/build.mjs scripts/image.mjs scripts/
COPY src src
COPY migrations migrations
# The roles in one file, and beside it only what a program reads of the packages that cannot be in it.
RUN node scripts/image.mjs /image

FROM node:24-bookworm-slim
ARG VERSION=0.0.0 REVISION=unknown CREATED=1970-01-01T00:00:00Z
LABEL org.opencontainers.image.title="orders-saas-api" \
      org.opencontainers.image.description="Multi-tenant SaaS backend: tenants, orders and signed webhooks" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$REVISION" \
      org.opencontainers.image.created="$CREATED" \
      org.opencontainers.image.source="https://github.com/example/orders-saas-api" \
      org.opencontainers.image.licenses="UNLICENSED" \
      org.opencontainers.image.base.name="docker.io/library/node:24-bookworm-slim"
# The memory of the compiler goes back to the system after the start, and few threads keep a part for themselves.
ENV NODE_ENV=production HOST=0.0.0.0 PORT=3000 MALLOC_ARENA_MAX=2 MALLOC_TRIM_THRESHOLD_=131072
WORKDIR /app
COPY --from=build /image ./
# The image's own user, uid 1000; nothing below /app is its to write.
USER node
EXPOSE 3000
# Of api and worker alike. Whether a process should get requests is /health/ready, for the one that sends them.
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \
  CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.PORT}/health/live`).then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
# Room for what hundreds of requests hold at once: with the usual 16 MiB it is copied, and kept, for nothing.
ENTRYPOINT ["node", "--max-semi-space-size=32", "dist/src/main.js"]
CMD ["api"]
