#!/usr/bin/env bash
# `make deb` on the machine that has built everything, and its packages in place of what `make install` has put
# there. See tests/bare.sh.
. "$(dirname "$0")/expect.sh"
export DEBIAN_FRONTEND=noninteractive
umask 077

packages() {
	must make deb
	must apt-get -q -y install --no-install-recommends lintian
	must lintian --allow-root --fail-on error target/deb/*.deb
}

in_place_of_the_programs() {
	must make uninstall
	rm -r /etc/sknock /var/lib/sknock* ~/authority ~/.config/sknock
	must apt-get -q -y install --no-install-recommends ./target/deb/*.deb
	must [ "$(command -v sknockd)" = /usr/sbin/sknockd ]
	must [ "$(stat --format=%a:%U:%G /etc/sknock)" = 750:root:sknock ]
	must getent group sknock-admin
	must grep -q '^ExecStart=/usr/sbin/sknockd ' /lib/systemd/system/sknockd.service
	must su sknock --shell /bin/sh --command 'head -c 1 /usr/share/doc/sknock/config.ini.example >/dev/null'
	must cc /tmp/c.c -o /tmp/c -lsknock
	must /tmp/c
	must /tmp/original
}

packages
in_place_of_the_programs
