# The program, built from this repository, on a small system, for a user who may do nothing.

ARG RUST_IMAGE=rust:1.91-bookworm
ARG SYSTEM_IMAGE=debian:bookworm-slim

FROM ${RUST_IMAGE} AS build
WORKDIR /src
COPY . .
RUN cargo build --release --locked --package fracas

FROM ${SYSTEM_IMAGE}
# Certificates of the system: engines that are reached with TLS are checked against them.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates \
    && rm -rf /var/lib/apt/lists/*
RUN useradd --system --uid 10001 --home-dir /var/lib/fracas --create-home --shell /usr/sbin/nologin fracas
COPY --from=build /src/target/release/fracas /usr/local/bin/fracas
USER fracas
WORKDIR /var/lib/fracas
VOLUME /var/lib/fracas
# Clients and links of the nodes; the numbers of each node.
EXPOSE 7800 7820 7830 9100
ENTRYPOINT ["fracas"]
HEALTHCHECK --interval=5s --timeout=5s --start-period=60s --retries=5 \
    CMD ["fracas", "probe", "127.0.0.1:9100/health"]
