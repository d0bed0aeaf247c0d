#!/usr/bin/env bash
# Packages that have been used go, and leave what was not theirs. See tests/bare.sh.
. "$(dirname "$0")/expect.sh"
export DEBIAN_FRONTEND=noninteractive

mapfile -t ours < <(installed | grep sknock)
must apt-get -q -y remove sknock-server
must ls /etc/sknock/config.ini /var/lib/sknock
must apt-get -q -y purge "${ours[@]}" libknock0-compat
must ls /etc/sknock/gateway.example.pfx
must_not 'No such file' ls /var/lib/sknock /var/lib/sknock-marks /run/sknock
left=$(find / -xdev \( -path /home -o -path /etc/sknock -o -path /root -o -path /tmp \) -prune -o -name '*sknock*' -print)
[ -z "$left" ] || fail "left: $left"
