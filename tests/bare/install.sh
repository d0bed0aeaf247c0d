#!/usr/bin/env bash
# `make install` on a bare machine: what it needs and brings, and what it must not bring. See tests/bare.sh.
# Root's umask is narrow, and HOME is unset.
. "$(dirname "$0")/expect.sh"
umask 077

no_rust() {
	local before
	before=$(installed)
	must_not 'https://rustup.rs' env PATH="${PATH#*:}" make install
	[ "$before" = "$(installed)" ] || fail 'something was installed for nothing'
}

install() {
	must env -u HOME make install
	must_lack nmap valgrind tcpdump nftables busybox python3 systemd-container openssl curl procps
	must getent passwd sknock
	must su sknock --shell /bin/sh --command 'ls -ld /etc/sknock && sknockd --version'
	must sknock --version
	must sknock-ca --version
	must grep -q ^ExecStart=/usr/local/sbin/sknockd /etc/systemd/system/sknockd.service
	for file in /usr/local/share/doc/sknock/config.ini.example /usr/local/lib/libsknock.so \
		/usr/local/lib/pkgconfig/sknock.pc /usr/local/include/sknock.h; do
		must su sknock --shell /bin/sh --command "head -c 1 $file >/dev/null"
	done
	echo '#include <sknock.h>
		int main(void) { return sknock_server_open("/nowhere") != 0; }' >/tmp/c.c
	# shellcheck disable=SC2046 # words
	must cc /tmp/c.c -o /tmp/c $(PKG_CONFIG_PATH=/usr/local/lib/pkgconfig pkg-config --cflags --libs sknock)
	must /tmp/c
	# Linked where only the original's library was, whose functions fail here.
	echo 'int knock_init(void); int main(void) { return knock_init(); }' >/tmp/original.c
	must cc -shared -fPIC -Wl,-soname,libknock.so.0 tests/c/stub.c -o /tmp/libknock.so
	must cc /tmp/original.c -L/tmp -lknock -o /tmp/original
	must /tmp/original
}

# All is there: no network is asked.
install_again() { must unshare --net make install; }

no_rust
install
install_again
