# Installs what a machine with only Rust, git and apt lacks. Sourced by scripts/demo, scripts/test and .ci/run; each
# function looks first and does nothing where the thing is there.
# shellcheck shell=bash

CARGO_DENY_VERSION=0.20.2

die() {
    printf '%s\n' "$*" >&2
    exit 2
}

as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo "$@"
    else
        die "installing packages needs root or sudo; as root run: $*"
    fi
}

# need_apt WHAT BREW PACKAGE...: installs Debian packages, or says what to install where there is no apt.
need_apt() {
    local what=$1 brew=$2
    shift 2
    if ! command -v apt-get >/dev/null; then
        [ "$(uname)" = Darwin ] && die "$what is missing: run \`$brew\`, then this again"
        die "$what is missing and this machine has no apt: install it with your package manager, then run this again"
    fi
    printf 'installing %s (%s)\n' "$what" "$*" >&2
    as_root apt-get update -qq </dev/null >&2
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" </dev/null >&2
}

has_postgresql() {
    local bin
    command -v initdb >/dev/null && return
    for bin in /usr/lib/postgresql/*/bin /opt/homebrew/opt/postgresql*/bin /usr/local/opt/postgresql*/bin \
        /Applications/Postgres.app/Contents/Versions/*/bin; do
        [ -x "$bin/initdb" ] && return
    done
    return 1
}

need_postgresql() {
    has_postgresql && return
    # Debian's package would start a server of its own, which nobody asked for: only the programs are wanted.
    local quiet=/etc/postgresql-common/createcluster.d/flipgate.conf
    if command -v apt-get >/dev/null; then
        as_root mkdir -p "${quiet%/*}"
        echo 'create_main_cluster = false' | as_root tee "$quiet" >/dev/null
    fi
    local failed=0
    need_apt "PostgreSQL's server" 'brew install postgresql' postgresql || failed=1
    as_root rm -f "$quiet"
    [ "$failed" = 0 ] || die "PostgreSQL could not be installed; what apt-get says is above"
    has_postgresql || die "PostgreSQL was installed, yet initdb is in none of the usual places"
}

has_chromium() {
    command -v chromedriver >/dev/null && { command -v chromium || command -v google-chrome; } >/dev/null
}

need_chromium() {
    has_chromium && return
    need_apt "Chromium (the admin page is tested in it)" 'brew install --cask chromium chromedriver' \
        chromium chromium-driver
    has_chromium || die "Chromium was installed, yet chromium or chromedriver is not on PATH"
}

need_npm() {
    command -v npm >/dev/null && return
    need_apt "npm (what checks the admin page and the dashboards comes by it)" 'brew install node' npm nodejs
}

# Installs what scripts/npm pins into target/npm, unless just that is there. (It is marked inside node_modules, which npm
# deletes first: a broken-off installation is none.)
need_npm_packages() {
    local root from to mark
    root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
    from=$root/scripts/npm to=$root/target/npm mark=$root/target/npm/node_modules/.installed
    cmp -s "$from/package-lock.json" "$mark" && return
    need_npm
    printf 'installing axe-core, typescript and Grafana'\''s types into target/npm\n' >&2
    mkdir -p "$to"
    cp "$from/package.json" "$from/package-lock.json" "$to/"
    npm ci --prefix "$to" --ignore-scripts --no-audit --no-fund --silent </dev/null >&2 ||
        die "npm could not install what scripts/npm pins; \`npm ci\` in $to shows why"
    cp "$from/package-lock.json" "$mark"
}

# Runs compose.yaml's traffic in one test, which says SKIPPED without it: worth a small package, not a failed set-up.
want_busybox() {
    command -v busybox >/dev/null && return
    command -v apt-get >/dev/null || return 0
    (need_apt 'busybox (for the traffic of compose.yaml)' '' busybox) || echo 'warning: busybox is missing' >&2
}

need_pgloader() {
    command -v pgloader >/dev/null && return
    need_apt "pgloader (one of the benchmark's contenders)" 'brew install pgloader' pgloader
}

need_prometheus() {
    command -v prometheus >/dev/null && command -v promtool >/dev/null && return
    # Debian's package would start a server of its own, which nobody asked for: only the programs are wanted.
    need_apt "Prometheus (tests ask it every dashboard's queries)" 'brew install prometheus' prometheus
    as_root systemctl disable --now prometheus </dev/null >/dev/null 2>&1 || true
    command -v promtool >/dev/null || die "Prometheus was installed, yet promtool is not in the PATH"
}

need_c_compiler() {
    command -v cc >/dev/null && return
    need_apt "a C compiler (SQLite and the TLS library are built from C)" 'xcode-select --install' gcc libc6-dev
}

need_cargo() {
    command -v cargo >/dev/null && return
    [ -x "$HOME/.cargo/bin/cargo" ] || die "cargo is missing: install Rust from https://rustup.rs, then run this again"
    PATH=$HOME/.cargo/bin:$PATH
}

need_cargo_deny() {
    cargo deny --version >/dev/null 2>&1 && return
    printf 'installing cargo-deny %s\n' "$CARGO_DENY_VERSION" >&2
    cargo install --quiet --locked "cargo-deny@$CARGO_DENY_VERSION" </dev/null
}
