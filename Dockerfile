# flipgate's image: the binary and a directory for its state, on a base without shell or package manager.
#
#   docker build -t flipgate .
#   docker run --read-only --cap-drop ALL -v state:/var/lib/flipgate -e FLIPGATE_ADMIN_TOKEN=… -e FLIPGATE_SQLITE=… \
#       -e FLIPGATE_POSTGRES=… -p 8080:8080 -p 127.0.0.1:9900:9900 flipgate
#
# tests/it/image.rs reads this file: it makes a root of what the runtime stage copies and runs the binary in it.

# The version is that of rust-toolchain.toml, which stays out of the build, so that rustup has nothing to fetch.
FROM rust:1.95.0-bookworm AS build
WORKDIR /build
# Functions keep their names in a backtrace; lines would double the size.
ENV CARGO_PROFILE_RELEASE_DEBUG=none CARGO_PROFILE_RELEASE_STRIP=debuginfo

# Dependencies are a layer of their own: it is built again only if the manifest or the lock file changes. The manifest
# wants these files; they stand in for what is not there yet, or not at all.
COPY Cargo.toml Cargo.lock ./
RUN mkdir src benches \
    && echo 'fn main() {}' >src/main.rs \
    && touch src/lib.rs benches/shadow.rs benches/compare.rs benches/migrate.rs benches/page.rs benches/writes.rs \
    && cargo build --release --locked --bin flipgate

COPY . .
# Copied files keep their times; without the touch they would be older than what was built of the stand-ins.
RUN touch src/lib.rs src/main.rs \
    && cargo build --release --locked --bin flipgate \
    && install -D target/release/flipgate /out/flipgate \
    && mkdir /out/state

# Of the same Debian as the build: glibc, libgcc, CA certificates, /etc/passwd, and nothing to log in to.
FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=build /out/flipgate /usr/local/bin/flipgate
# An empty volume takes over the owner.
COPY --from=build --chown=65532:65532 /out/state /var/lib/flipgate
# The admin side is reachable from outside the container, so `serve` refuses to start without a token:
# FLIPGATE_ADMIN_TOKEN, or FLIPGATE_ADMIN_TOKEN_FILE with the path of a secret.
ENV FLIPGATE_STATE_DIR=/var/lib/flipgate FLIPGATE_LISTEN=0.0.0.0:8080 FLIPGATE_ADMIN_LISTEN=0.0.0.0:9900
USER 65532:65532
WORKDIR /var/lib/flipgate
VOLUME /var/lib/flipgate
EXPOSE 8080 9900
STOPSIGNAL SIGTERM
# Where the admin side listens elsewhere, FLIPGATE_ADMIN tells the check.
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
    CMD ["/usr/local/bin/flipgate", "status", "--healthz"]
ENTRYPOINT ["/usr/local/bin/flipgate"]
CMD ["serve"]
