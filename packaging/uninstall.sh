#!/usr/bin/env bash
# Removes the files of `make install`, and nothing else: uninstall.sh PREFIX [DESTDIR]. It does not change
# the firewall: if sknockd runs, starts at boot, or has left its rules in place, it prints what to run
# first, and removes nothing.
set -euo pipefail
# Debian's users, and root after a plain `su`, do not look there.
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
readonly PREFIX=${1:?usage: uninstall.sh PREFIX [DESTDIR]} DESTDIR=${2:-}
readonly AT=$DESTDIR$PREFIX
readonly UNIT=$DESTDIR/etc/systemd/system/sknockd.service
# Configuration, keys, passwords, memory: all that install has not made, or that is somebody's own.
readonly KEPT=(/etc/sknock /etc/credstore/sknock-pfx-password /etc/systemd/system/sknockd.service.d
	/var/lib/sknock /var/lib/sknock-marks)

stop() {
	printf 'uninstall: %s\n' "$@" >&2
	echo 'uninstall: nothing was removed' >&2
	exit 1
}

running() {
	local exe program ours
	ours=$(realpath -m "$AT/sbin/sknockd")
	for exe in /proc/[0-9]*/exe; do
		program=$(readlink "$exe" || true)
		# Also of a program that an upgrade has replaced.
		[ "${program% (deleted)}" != "$ours" ] || { exe=${exe#/proc/} && echo "${exe%/exe}"; }
	done
}

must_be_at_rest() {
	local pids said
	pids=$(running | tr '\n' ' ')
	[ -z "$pids" ] || stop "sknockd runs (process ${pids% }). First: systemctl disable --now sknockd" \
		"(or end it, if it was started by hand), and then: $PREFIX/sbin/sknockd open"
	if command -v systemctl >/dev/null && systemctl is-enabled --quiet sknockd 2>/dev/null; then
		stop 'the unit is enabled. First: systemctl disable --now sknockd'
	fi
	! grep -qs '^[^#]*/etc/sknock/' /etc/nftables.conf ||
		stop '/etc/nftables.conf loads the table of sknock at boot; without sknockd no knock could open a port.' \
			'First remove the line with /etc/sknock/ from it.'
	[ -x "$AT/sbin/sknockd" ] || return 0
	said=$("$AT/sbin/sknockd" grants 2>&1) || stop "cannot determine whether rules are loaded: $said"
	[ "$said" = 'no rules are loaded' ] ||
		stop 'rules are loaded, and without sknockd no knock could open a port.' \
			"First remove the rules (all ports become reachable): $PREFIX/sbin/sknockd open"
}

remove() {
	local file
	for file; do
		[ ! -e "$file" ] && [ ! -L "$file" ] || { rm -- "$file" && echo "removed $file"; }
	done
}

# A name that the original's library has, too: only if it is ours.
remove_link() {
	[ "$(readlink "$1" || true)" != "$2" ] || remove "$1"
}

[ -n "$DESTDIR" ] || must_be_at_rest
remove_link "$AT/lib/libknock.so.0" libknock.so.0.1.0
remove_link "$AT/lib/libknock.so" libsknock.so.0
remove_link "$AT/lib/libknock.a" libsknock.a
remove "$AT"/lib/lib{knock.so.0.1.0,sknock.so,sknock.so.0,sknock.a} "$AT/lib/pkgconfig/sknock.pc"
! grep -qs knock_free "$AT/include/knock.h" || remove "$AT/include/knock.h"
remove "$AT/include/sknock.h" "$AT/sbin/sknockd" "$AT"/bin/sknock{,-ca} \
	"$AT/share/doc/sknock/config.ini.example" "$UNIT"
readonly SHARE=$AT/share
remove "$SHARE"/man/man1/sknock{,-knock,-connect,-ca,-ca-{client,crl,init,list,revoke,server}}.1 \
	"$SHARE"/man/man3/sknock.h.3 "$SHARE"/man/man5/sknock-config.ini.5 \
	"$SHARE"/man/man8/sknockd{,-{check,close,confirm,explain,grants,open,reload,run}}.8 \
	"$SHARE"/bash-completion/completions/sknock{,d,-ca} "$SHARE"/zsh/site-functions/_sknock{,d,-ca} \
	"$SHARE"/fish/vendor_completions.d/sknock{,d,-ca}.fish
[ ! -d "$AT/share/doc/sknock" ] || rmdir --ignore-fail-on-non-empty "$AT/share/doc/sknock"
[ -n "$DESTDIR" ] && exit
[ ! -d /run/systemd/system ] || systemctl daemon-reload
ldconfig
for file in "${KEPT[@]}"; do
	[ ! -e "$file" ] || echo "kept $file"
done
! getent passwd sknock >/dev/null || echo 'kept the user sknock'
