#!/bin/sh
# Everything a make target needs before Node can run: Node itself and the libraries, as the lock file names them.
# Quick and silent when nothing is to do.
set -eu
cd "$(dirname "$0")/../.."

fail() {
  echo "hapair: $*" >&2
  exit 1
}

[ "$(uname -sm)" = "Linux x86_64" ] || fail "needs Linux on x86-64; this is $(uname -sm)."
command -v python3 >/dev/null || fail "python3 is missing (Debian: apt-get install python3)."
command -v npm >/dev/null || fail "npm is missing (Debian: apt-get install npm)."

# Go builds the control plane once; with a build in the cache, or with KUBEBUILDER_ASSETS, nobody asks for it.
if ! command -v go >/dev/null && [ -z "${KUBEBUILDER_ASSETS:-}" ]; then
  set -- "${XDG_CACHE_HOME:-$HOME/.cache}"/hapair/kube-*/kube-apiserver
  [ -e "$1" ] || fail "go is missing; 1.21 or later builds the control plane (Debian: apt-get install golang-go)."
fi

# npm writes node_modules/.package-lock.json last: an interrupted run lacks it, an edited lock file is newer.
installed=node_modules/.package-lock.json
if [ ! -e "$installed" ] || [ -n "$(find package-lock.json -newer "$installed")" ]; then
  echo "hapair: installing Node and the libraries named by package-lock.json" >&2
  npm ci --ignore-scripts --no-audit --no-fund --loglevel=error >&2 || fail "npm ci failed; its reason stands above."
  touch "$installed"
fi
[ -e node_modules/.bin/biome ] || ln -sf ../@biomejs/cli-linux-x64/biome node_modules/.bin/biome # the package has just the binary
