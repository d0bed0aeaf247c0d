#!/usr/bin/env bash
# Installs what a Debian machine lacks for a purpose, and nothing else: setup.sh PURPOSE. A machine that
# has all needs no network and no root. Rust is looked for first: it does not come from Debian, and
# whoever lacks it is told so before anything is installed.
set -euo pipefail
cd "$(dirname "$0")/.."
# Debian's users, and root after a plain `su`, do not look there.
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
purpose=${1:?usage: setup.sh PURPOSE}

# How each thing is found (a program, a file, a header, a library of pkg-config), and Debian's package of it.
# gcc without libc6-dev, which it only recommends, links nothing.
readonly C='cc:gcc stdio.h:libc6-dev'
readonly BUILD="$C pkg-config:pkg-config libnftnl.pc:libnftnl-dev libmnl.pc:libmnl-dev"
# Without the names of protocols nft knows no tcp.
readonly NET='nft:nftables /etc/protocols:netbase ip:iproute2'

needed() {
	case $purpose in
	c-library) echo "$C" ;;
	build | install) echo "$BUILD" ;;
	# A small web server and netcat; a wiretap.
	demo) echo "$BUILD $NET busybox:busybox tcpdump:tcpdump" ;;
	# pkill; nmap looks for what must not be seen; valgrind and Python for the C library, Python for
	# the bill of materials, git for the sources; systemd's judgement of the unit, and a container for systemd itself; a disk
	# to be full.
	test)
		echo "$BUILD $NET openssl:openssl pkill:procps nmap:nmap valgrind:valgrind python3:python3" \
			"systemd-analyze:systemd systemd-nspawn:systemd-container" \
			"mkfs.ext4:e2fsprogs git:git"
		;;
	bench) echo "$BUILD $NET openssl:openssl" ;;
	# libFuzzer is C++.
	fuzz) echo "$BUILD c++:g++" ;;
	lint) echo "$BUILD python3:python3" ;;
	dist) echo 'git:git python3:python3' ;;
	deb) echo "$BUILD dh:debhelper dpkg-buildpackage:dpkg-dev" ;;
	# Machines to install on, and to boot. What is booted may be built here.
	bare) echo "$BUILD debootstrap:debootstrap ip:iproute2 systemd-nspawn:systemd-container" ;;
	*) stop "no such purpose: $purpose" ;;
	esac
}

stop() {
	printf 'setup: %s\n' "$@" >&2
	exit 1
}

is_there() {
	case $1 in
	/*) [ -e "$1" ] ;;
	*.h) [ -e "/usr/include/$1" ] || echo "#include <$1>" | cc -E - ;;
	*.pc) pkg-config --exists "${1%.pc}" ;;
	*) command -v "$1" ;;
	esac >/dev/null 2>&1
}

# `1.88` and `cargo 1.63.0 (...)`
is_at_least() {
	local version
	read -r _ version _ <<<"$2"
	[ "$(printf '%s\n' "$1" "$version" | sort -V | head -n 1)" = "$1" ]
}

must_have_rust() {
	local wanted program said hints=()
	wanted=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)
	hints+=("Rust $wanted or later is needed. Debian 12's and 13's own are too old; it comes from"
		"https://rustup.rs:  curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh")
	[ -z "${SUDO_USER:-}" ] ||
		hints+=("If $SUDO_USER has it: run make as $SUDO_USER, without sudo. It asks for root where it must.")
	for program in "${CARGO:-cargo}" "${RUSTC:-rustc}"; do
		# shellcheck disable=SC2086 # `cargo +nightly` is two words
		said=$($program --version 2>&1) || stop "$program: ${said##*: }" "${hints[@]}"
		is_at_least "$wanted" "$said" || stop "$program is $said" "${hints[@]}"
	done
}

# Rather now than after minutes of building.
must_become_root() {
	case $purpose in
	install | demo | test | bench | bare)
		[ "$(id -u)" = 0 ] || command -v sudo >/dev/null ||
			stop "\`make $purpose\` needs root in the end, and there is no sudo: run it as root"
		;;
	esac
}

# Sets `missing` and `packages`.
look() {
	local thing
	missing=() packages=()
	for thing in $(needed); do
		is_there "${thing%:*}" || { missing+=("${thing%:*}") packages+=("${thing#*:}"); }
	done
}

install() {
	local root=() apt=(apt-get -q -o DPkg::Lock::Timeout=300)
	command -v apt-get >/dev/null ||
		stop "missing: ${missing[*]}" "This is not Debian: install what has them. There it is ${packages[*]}."
	if [ "$(id -u)" != 0 ]; then
		command -v sudo >/dev/null ||
			stop "missing: ${missing[*]}" "As root: apt-get install --no-install-recommends ${packages[*]}"
		root=(sudo)
	fi
	root+=(env DEBIAN_FRONTEND=noninteractive)
	"${root[@]}" "${apt[@]}" update
	"${root[@]}" "${apt[@]}" install -y --no-install-recommends "${packages[@]}"
}

must_have_rust
must_become_root
# `make --jobs` may ask for two purposes at a time.
exec 9<"$0"
flock 9
look
[ ${#missing[@]} = 0 ] && exit
install
look
[ ${#missing[@]} = 0 ] || stop "still missing, though installed: ${missing[*]}"
