#!/bin/sh
# Brings in what the tests need beside Node: a PostgreSQL 15 with its tools, a Secret Service, a terminal.
# On Debian as root it installs what is missing; elsewhere it says what that is and goes on, and the tests
# that need it fail by name.
set -u

missing=
need() { # need PACKAGE TEST...
  package=$1
  shift
  "$@" >/dev/null 2>&1 || missing="$missing $package"
}

need postgresql-15 test -x /usr/lib/postgresql/15/bin/postgres
need postgresql-client-15 command -v psql
need gnome-keyring command -v gnome-keyring-daemon
need dbus command -v dbus-run-session
need libsecret-1-dev test -e /usr/include/libsecret-1/libsecret/secret.h
need openssl command -v openssl
need tmux command -v tmux
need util-linux command -v prlimit
need procps command -v ps

[ -z "$missing" ] && exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
  echo "installing for the tests:$missing" >&2
  export DEBIAN_FRONTEND=noninteractive
  # shellcheck disable=SC2086
  { apt-get update && apt-get install -y --no-install-recommends $missing; } >/tmp/dbgate-prepare.log 2>&1 && exit 0
  echo "that failed; see /tmp/dbgate-prepare.log" >&2
  exit 1
fi
echo "the tests need, in Debian's names:$missing" >&2
