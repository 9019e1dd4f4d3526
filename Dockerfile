# One image for every role: docker run … orders-saas-api api | worker | migrate … | admin …

FROM node:24-bookworm-slim AS build
WORKDIR /app
COPY package.json package-lock.json ./
RUN npm ci --ignore-scripts --no-audit --no-fund
COPY .swcrc ./
COPY scripts/build.mjs scripts/
COPY src src
COPY migrations migrations
RUN npm run build

FROM node:24-bookworm-slim AS dependencies
WORKDIR /app
COPY package.json package-lock.json ./
# TypeScript comes along as an optional peer of @nestjs/swagger, whose compiler plugin alone would use it.
RUN npm ci --omit=dev --ignore-scripts --no-audit --no-fund && rm -r node_modules/typescript

FROM node:24-bookworm-slim
ENV NODE_ENV=production HOST=0.0.0.0 PORT=3000
WORKDIR /app
COPY --from=dependencies /app/node_modules node_modules
COPY --from=build /app/dist dist
COPY package.json ./
# The image's own user, uid 1000; nothing below /app is its to write.
USER node
EXPOSE 3000
# Of api and worker alike. Whether a process should get requests is /health/ready, for the one that sends them.
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
  CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.PORT}/health/live`).then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
# Room for what hundreds of requests hold at once: with the usual 16 MiB it is copied, and kept, for nothing.
ENTRYPOINT ["node", "--max-semi-space-size=32", "dist/src/main.js"]
CMD ["api"]
