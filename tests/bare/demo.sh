#!/usr/bin/env bash
# The README's first two commands on a bare machine, in its order. See tests/bare.sh.
. "$(dirname "$0")/expect.sh"
umask 077

must_lack gcc libc6-dev pkg-config nftables iproute2 python3 openssl sudo git systemd procps
must make demo
must_lack nmap valgrind python3 systemd-container
must make test
echo
echo "What came with it: $(installed | wc -l) packages in all."
