#!/usr/bin/env bash
# The README's "Hiding SSH in five minutes", with its own words, where `make install` has run: this is the
# server, and the reader's own machine is the network of the process OWN. See tests/bare.sh.
. "$(dirname "$0")/expect.sh"
. "$(dirname "$0")/steps.sh"

readonly LOG=/root/log
umask 077

on_my_machine() { nsenter --net="/proc/$OWN/ns/net" "$@"; }

# ---- what a bare machine lacks

scp() { cp "${@:1:$#-1}" /etc/sknock/; }
ssh() {
	# shellcheck disable=SC2016 # the other shell
	on_my_machine timeout 5 bash -c 'exec 3<>"/dev/tcp/${0#root@}/22" && read -r <&3 said && echo "$said"' "$1"
}
systemctl() { echo '(no systemd on this machine)'; }
export -f scp

sshd() {
	perl -MIO::Socket::INET -e '
		my $l = IO::Socket::INET->new(LocalPort => 22, Listen => 9, ReuseAddr => 1) or die "$!\n";
		fork and exit;
		while (my $c = $l->accept) { print $c "hello\n" }' </dev/null >/dev/null 2>&1
}

log_must_say() {
	local tries
	for tries in {1..200}; do
		! grep -q "$1" "$LOG" || return 0
		sleep 0.1
	done
	cat "$LOG" >&2
	fail "after $tries tries the log does not say: $1"
}

# ---- the steps

an_authority() {
	local commands
	commands=$(step 1)
	must bash -euc "$commands"
}

a_configuration() {
	local commands
	commands=$(step 2)
	must bash -euc "$commands" >/root/check
	cat /root/check
	grep -q '^ready' /root/check || fail 'check is not content'
}

# Runs on in this shell, as job 1.
a_trial() {
	printf '\n# %s\n' "$(step 3)"
	eval "$(step 3)" 2>"$LOG"
	log_must_say 'accepting knocks$'
}

a_knock() {
	local commands
	mapfile -t commands < <(step 4)
	must_not refused ssh root@gateway.example
	[[ ${commands[1]} == 'sknock knock '* ]] || fail 'README, 4: the second line is no knock'
	# shellcheck disable=SC2086 # words
	must on_my_machine ${commands[1]}
	must ssh root@gateway.example
}

for_good() {
	printf '\n# %s\n' "$(step 5)"
	eval "$(step 5)"
	must ssh root@gateway.example # a grant outlives the server
	sleep 15
	must_not refused ssh root@gateway.example
}

the_way_back() {
	must sknockd open
	must ssh root@gateway.example
}

echo '10.9.9.1 gateway.example' >>/etc/hosts
sshd
an_authority
a_configuration
a_trial
a_knock
for_good
the_way_back
must sknock-ca --dir ~/authority revoke alice
