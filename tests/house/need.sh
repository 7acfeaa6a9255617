#!/bin/sh
# Installs those of the named Debian packages that are missing; silent when none is.
# usage: need.sh PACKAGE...
set -eu

missing=
for package in "$@"; do
	status=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || :)
	[ "$status" = installed ] || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

as_root=
if [ "$(id -u)" -ne 0 ]; then
	command -v sudo >/dev/null || { echo "missing, and neither root nor sudo to install:$missing" >&2; exit 1; }
	as_root=sudo
fi
echo "installing:$missing" >&2
log=$(mktemp)
trap 'rm -f "$log"' EXIT
export DEBIAN_FRONTEND=noninteractive
{
	$as_root apt-get update -q &&
	$as_root env DEBIAN_FRONTEND=noninteractive \
		apt-get install -q -y --no-install-recommends $missing
} >"$log" 2>&1 </dev/null || { tail -n 30 "$log" >&2; exit 1; }
