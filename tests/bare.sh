#!/usr/bin/env bash
# The README's commands on bare machines: Debian 12 as debootstrap makes it, with Rust, make and nothing
# else, no git, and sources that another user owns. What is run there is in tests/bare/.
#
# Usage, as root: tests/bare.sh [MACHINE...], of `install`, `demo` and `booted`; all if none is named.
# `booted` is two: a server with systemd as its first process, and the reader's own. It has the programs that
# `install` has built, or, without it, those in the folder BUILT (target/debug). Takes the
# network, 8 GB in TMPDIR, and as long as building everything twice. DEBIAN_MIRROR may name another
# mirror; settings of apt, cargo and proxies are the host's. Each machine is a folder that is the root in
# mount and process namespaces of its own: nothing stays mounted and nothing runs on, however this ends.
set -euo pipefail
cd "$(dirname "$0")/.."

readonly SELF=$PWD/tests/bare.sh
readonly RELEASE=bookworm
readonly MIRROR=${DEBIAN_MIRROR:-http://deb.debian.org/debian}
# Where Rust is on a machine: in no place where Debian or rustup would put it.
readonly RUST=/opt/rust AUTHORITIES=/opt/authorities.pem

# ---- outside: a place for the machines

outside() {
	local place
	[ "$(id -u)" = 0 ] || { echo 'bare.sh: run as root: it makes whole machines' >&2; exit 1; }
	place=$(mktemp -d -t sknock-bare.XXXXXX)
	# shellcheck disable=SC2064 # now
	trap "rm -rf --one-file-system '$place'; without_groups" EXIT
	trap 'exit 130' INT TERM
	chmod 755 "$place"
	export RUST_SYSROOT GROUP=sknock-bare-$$
	RUST_SYSROOT=$(rustc --print sysroot)
	# What is mounted further in is seen by nobody else, and goes with the last process there.
	unshare --mount --pid --fork --kill-child --mount-proc "$SELF" --inside "$place" "$@"
}

# The control groups that machines were booted in, once their processes have gone.
without_groups() {
	find /sys/fs/cgroup -depth -type d -path "*/$GROUP*" -exec rmdir {} + 2>/dev/null || true
}

# ---- inside: the machines

told() { printf '\n== %s (%d s)\n' "$*" "$SECONDS"; }

inside() {
	local place=$1 name
	shift
	[ $# -gt 0 ] || set -- install demo booted
	told "Debian $RELEASE"
	debootstrap --variant=minbase --include=make "$RELEASE" "$place/debian" "$MIRROR" >"$place/log" 2>&1 ||
		{ tail -n 20 "$place/log"; exit 1; }
	# debootstrap leaves that to the installer.
	printf '127.0.0.1 localhost\n::1 localhost\n' >"$place/debian/etc/hosts"
	as_the_host_reaches_the_network "$place/debian"
	sources "$place/debian/home/alice/sknock"
	for name in "$@"; do
		cp -a "$place/debian" "$place/$name"
		told "machine: $name"
		case $name in
		booted) two_machines "$place" ;;
		*)
			mounted "$place/$name"
			unshare --mount --pid --fork --kill-child "$SELF" --enter "$place/$name" "$name"
			[ "$name" != install ] || followed "$place/$name"
			;;
		esac
		told "machine: $name: all as expected"
	done
}

as_the_host_reaches_the_network() {
	local root=$1 cargo=${CARGO_HOME:-${HOME:-/root}/.cargo} file
	cp --dereference /etc/resolv.conf "$root/etc/resolv.conf"
	# For cargo alone: the machine itself believes no authority of the web.
	cp --dereference "${SSL_CERT_FILE:-/etc/ssl/certs/ca-certificates.crt}" "$root$AUTHORITIES"
	if command -v apt-config >/dev/null; then
		apt-config dump | grep '^Acquire::' >"$root/etc/apt/apt.conf.d/90host" || true
	fi
	mkdir -p "$root/root/.cargo"
	for file in config.toml config; do
		[ ! -e "$cargo/$file" ] || cp "$cargo/$file" "$root/root/.cargo/"
	done
}

# Those of the last commit, without git; of no commit, if this is no checkout. Another user's.
sources() {
	local into=$1
	mkdir -p "$into"
	if git -c safe.directory="$PWD" rev-parse --verify --quiet HEAD >/dev/null 2>&1; then
		git -c safe.directory="$PWD" archive HEAD | tar -x -C "$into"
	else
		tar -c --exclude=./target --exclude=./fuzz/target . | tar -x -C "$into"
	fi
	chown -R 1000:1000 "$into"
}

mounted() {
	local root=$1
	mount --bind "$root" "$root"
	mount --rbind /sys "$root/sys"
	mount --rbind /dev "$root/dev"
	mount -t tmpfs tmpfs "$root/run"
	mkdir "$root$RUST"
	mount -o bind,ro "$RUST_SYSROOT" "$root$RUST"
}

# What follows `make install`: the README's steps, by its programs and then by Debian packages, which go at the end.
followed() {
	with_a_neighbour "$1"
	unshare --mount --pid --fork --kill-child "$SELF" --enter "$1" deb
	with_a_neighbour "$1"
	unshare --mount --pid --fork --kill-child "$SELF" --enter "$1" purge
}

# The README's steps, on a network of one gateway and one client.
with_a_neighbour() {
	unshare --mount --pid --net --fork --kill-child "$SELF" --neighbour "$1"
}

neighbour() {
	local root=$1
	mount -t proc proc /proc
	unshare --net sleep infinity &
	export OWN=$!
	until [ "$(readlink "/proc/$OWN/ns/net")" != "$(readlink /proc/self/ns/net)" ]; do sleep 0.05; done
	ip link set lo up
	ip link add client type veth peer name gateway netns "$OWN"
	ip addr add 10.9.9.1/24 dev client
	ip link set client up
	nsenter --net="/proc/$OWN/ns/net" ip addr add 10.9.9.2/24 dev gateway
	nsenter --net="/proc/$OWN/ns/net" ip link set gateway up
	enter "$root" readme
}

# A server that boots, and its reader's own machine, which has the same programs.
two_machines() {
	local place=$1 built
	unshare --mount --pid --fork --kill-child "$SELF" --alone "$place/booted" packages
	built=$place/install/home/alice/sknock/target/release
	[ -d "$built" ] || built=${BUILT:-target/debug}
	mkdir -p "$place/booted/home/alice/sknock/target/release"
	cp "$built"/{sknock,sknockd,sknock-ca,libsknock_c.so,libsknock_c.a} "$place/booted/home/alice/sknock/target/release/"
	cp -a "$place/booted" "$place/own"
	unshare --mount --pid --net --uts --fork --kill-child tests/bare/booted.sh "$place"
}

alone() {
	mounted "$1"
	enter "$@"
}

# Becomes a machine's story. Not by chroot, in which the kernel forbids some of what the tests do.
enter() {
	local root=$1 story=$2 kept=() name
	mount -t proc proc "$root/proc"
	for name in {http,https,no,all}_proxy {HTTP,HTTPS,NO,ALL}_PROXY \
		"${!CARGO_NET_@}" "${!CARGO_HTTP_@}" "${!CARGO_SOURCE_@}" "${!CARGO_REGISTR@}"; do
		[ -z "${!name:-}" ] || kept+=("$name=${!name}")
	done
	cd "$root"
	pivot_root . mnt
	umount --lazy /mnt
	cd /home/alice/sknock
	exec /usr/bin/env -i "${kept[@]}" ${OWN:+"OWN=$OWN"} HOME=/root TERM=dumb \
		"CARGO_HTTP_CAINFO=$AUTHORITIES" \
		"PATH=$RUST/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin" \
		"tests/bare/$story.sh" </dev/null
}

case ${1:-} in
--inside) shift && inside "$@" ;;
--enter) shift && enter "$@" ;;
--neighbour) shift && neighbour "$@" ;;
--alone) shift && alone "$@" ;;
*) outside "$@" ;;
esac
