#!/usr/bin/env bash
# What the machines of tests/bare/booted.sh have besides: what a server of Debian's installer has, and what
# `make install` would fetch, as they have no way to Debian. See tests/bare.sh.
. "$(dirname "$0")/expect.sh"
export DEBIAN_FRONTEND=noninteractive
must apt-get -q update
must apt-get -q -y install --no-install-recommends systemd systemd-sysv dbus libpam-systemd sudo cron \
	openssh-server openssh-client openssl procps iproute2 busybox iptables nftables \
	gcc libc6-dev pkg-config libnftnl-dev libmnl-dev
