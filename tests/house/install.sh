#!/bin/bash
# Installs into an empty prefix, and builds and runs the examples against what lies there, with pkg-config alone.
# usage: install.sh SOURCE-DIRECTORY BUILD-DIRECTORY
set -eu
source=$1 build=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
fail() { echo "$*"; exit 1; }

DESTDIR=$work/root meson install -C "$build" --no-rebuild --quiet
prefix=$work/root/usr/local
there() { compgen -G "$prefix/$1" >/dev/null || fail "not installed: $1"; }

for header in "$source"/include/rehost/*.h; do
	there "include/rehost/${header##*/}"
done
there bin/rehost
there 'share/man/man1/rehost.1'
there bin/rehost-issue
there 'share/man/man1/rehost-issue.1'
there share/bash-completion/completions/rehost-issue
there share/zsh/site-functions/_rehost-issue
there share/fish/vendor_completions.d/rehost-issue.fish
there bin/rehostd
there 'share/man/man1/rehostd.1'
there share/bash-completion/completions/rehostd
there share/zsh/site-functions/_rehostd
there share/fish/vendor_completions.d/rehostd.fish
there 'lib/systemd/system/rehostd.service'
there 'share/man/man3/*rehost.3*'
there share/bash-completion/completions/rehost
there share/zsh/site-functions/_rehost
there share/fish/vendor_completions.d/rehost.fish
config=$(find "$prefix" -name rehost.pc)
[ -n "$config" ] || fail "not installed: rehost.pc"
libraries=$(cd "$(dirname "$config")/.." && pwd)
[ "$(readlink "$libraries/librehost.so")" = librehost.so.0 ] || fail "librehost.so does not lead to librehost.so.0"
[ -z "$(find "$prefix" -name '*.a')" ] || fail "a static library was installed: $(find "$prefix" -name '*.a')"

export PKG_CONFIG_PATH=$libraries/pkgconfig PKG_CONFIG_SYSROOT_DIR=$work/root
export LD_LIBRARY_PATH=$libraries
version=$(pkg-config --modversion rehost)
case $("$prefix/bin/rehost" --version) in
*"$version"*) ;;
*) fail "rehost --version does not say $version, as rehost.pc does" ;;
esac
if readelf -d "$prefix/bin/rehost" | grep -q 'RUNPATH\|RPATH'; then
	fail "rehost looks for its library in the build directory"
fi

# Somewhere else, so that no header beside them is found.
cp -r "$source/examples" "$work/examples"
cd "$work"
head -c 16 /dev/urandom | od -An -tx1 | tr -d ' \n' >machine-id
export REHOST_MACHINE_ID_FILE=$work/machine-id
built=0
for example in examples/*.c examples/*.cpp; do
	[ -f "$example" ] || continue
	case $example in
	*.c) compilers='gcc:-std=c11 clang:-std=c11' ;;
	*) compilers='g++:-std=c++17 clang++:-std=c++17' ;;
	esac
	for compiler in $compilers; do
		name=$(basename "$example" | tr . -)-${compiler%%:*}
		command -v "${compiler%%:*}" >/dev/null || continue
		# Nothing but what an application's makefile would say.
		"${compiler%%:*}" "${compiler#*:}" -Wall -Wextra -Werror -pthread "$example" \
			$(pkg-config --cflags --libs rehost) -o "$name"
		readelf -d "$name" | grep -q 'NEEDED.*\[librehost.so.0\]' || fail "$name does not need librehost.so.0"
		built=$((built + 1))
	done
done
[ "$built" -ge 2 ] || fail "no example was built"

# Each of them backs up and restores.
for program in sdk_backup-c-* sdk_backup-cpp-*; do
	rm -rf old new stick
	mkdir stick
	"$prefix/bin/rehost" add -q --store old examples/licenses || [ $? -eq 3 ]
	./"$program" backup stick old >"$program.out" || fail "$program backup: $(cat "$program.out")"
	"$prefix/bin/rehost" recovery show --store old | grep -o 'AGE-SECRET-KEY-1[A-Z0-9]*' >key
	./"$program" restore stick new "$(cat key)" >"$program.out" || fail "$program restore: $(cat "$program.out")"
	[ "$("$prefix/bin/rehost" list --json --store old | grep -cv '"class": *"restricted"')" = \
		"$("$prefix/bin/rehost" list --json --store new | wc -l)" ] || fail "$program: not every licence came back"
done
echo "$built programs built"
