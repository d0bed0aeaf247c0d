#!/usr/bin/env bash
# Users follow the documents word for word, between a server that boots and their own machine: root, somebody
# with sudo, cron, and the unit. See tests/bare.sh, which has made both in FOLDER: booted.sh FOLDER.
. "$(dirname "$0")/expect.sh"
. "$(dirname "$0")/steps.sh"
. "$(dirname "$0")/boot.sh"
. "$(dirname "$0")/people.sh"

readonly PLACE=$1
readonly SERVER=$PLACE/booted OWN=$PLACE/own

# ---- what everybody has seen

refused() { must_not 'Connection refused' own 'ssh -o ProxyCommand=none -o ConnectTimeout=5 root@gateway.example true'; }
open_to_all() { must own 'ssh -o ProxyCommand=none -o ConnectTimeout=5 root@gateway.example true'; }

journal_must_say() {
	local tries
	for tries in {1..300}; do
		! on_console "journalctl --quiet --unit=sknockd --since '$1'" | grep -e "$2" >/dev/null || return 0
		sleep 0.2
	done
	on_console "journalctl --quiet --unit=sknockd" | tail -n 20 >&2
	fail "after $tries tries the journal does not say: $2"
}

server_time() { on_console 'date "+%F %T"'; }

# ---- the README, by somebody who may log in as WHO, and becomes root there by BECOME

an_authority() {
	local commands
	commands=$(step 1)
	[ "$1" = root ] || commands=${commands%scp *}
	must own "rm -rf ~/authority ~/.config/sknock; $commands"
}

hide_ssh() {
	local who=$1 become=$2 commands
	session "$who" "$become"
	commands=$(step 2)
	[ "$who" = root ] || commands="cd ~alice && mv gateway.example.pfx server.password crl.der /etc/sknock/
$commands"
	in_session "$commands" >"$PLACE/check"
	cat "$PLACE/check"
	tail -n 1 "$PLACE/check" | grep -q '^ready' || fail 'check is not content'
	grep -q '^warning: .*SSH' "$PLACE/check" || fail 'check does not warn of the session that it is run in'
	in_session "$(step 3)"
	session_must_say 'accepting knocks$'
	mapfile -t commands < <(step 4)
	refused
	[[ ${commands[1]} == 'sknock knock '* ]] || fail 'README, 4: the second line is no knock'
	must own "${commands[1]}"
	must own "ssh -o ProxyCommand=none $who@gateway.example true"
	in_session "$(step 5)"
	must on_console 'systemctl is-active sknockd'
	sleep 16
	refused
	must own "mkdir -p ~/.ssh; cat >> ~/.ssh/config <<'END'
$(step 6)
END"
	must own "ssh $who@gateway.example true"
	end_session
}

# ---- OPERATIONS

upgrade() {
	local before since
	before=$(on_console 'systemctl show --value --property=MainPID sknockd')
	# As if another version had been installed: the unit that systemd has read is not the one that comes.
	on_console 'sed -i "/^WatchdogSec/d" /etc/systemd/system/sknockd.service && systemctl daemon-reload'
	must own "ssh alice@gateway.example 'cd sknock && make install'"
	since=$(server_time)
	must own "ssh root@gateway.example '$(block docs/OPERATIONS.md '## Reload, restart, upgrade' 1)'"
	journal_must_say "$since" 'accepting knocks$'
	[ "$(on_console 'systemctl show --value --property=MainPID sknockd')" != "$before" ] || fail 'it is the former process'
	on_console 'systemctl show --value --property=WatchdogUSec sknockd' | grep -x 30s >/dev/null || fail 'it runs with the former unit'
	must own 'ssh root@gateway.example true'
}

# What root is told to do at the server, over SSH.
a_trial_and_an_older_list() {
	local since
	must own "ssh root@gateway.example '$(block docs/OPERATIONS.md '## On trial' 1)'"
	since=$(server_time)
	must own "ssh root@gateway.example '$(block docs/OPERATIONS.md '### An older revocation list' 1)'"
	journal_must_say "$since" 'accepting knocks$'
	must own 'ssh root@gateway.example true'
}

# With sknockd disabled, all is closed from boot on; with it, a knock opens.
closed_from_boot_on() {
	local since
	must own "ssh root@gateway.example \"$(block docs/OPERATIONS.md '## Closed from boot on' 1 | sed 's/"/\\"/g')\""
	must on_console 'systemctl disable sknockd'
	reboot "$SERVER"
	refused
	must_not 'did not confirm' own 'sknock knock --timeout 2 gateway.example tcp/22'
	since=$(server_time)
	must on_console 'systemctl enable --now sknockd'
	journal_must_say "$since" 'accepting knocks$'
	must own 'ssh root@gateway.example true'
	must_not '/etc/nftables.conf' on_console 'systemctl disable --now sknockd && cd /home/alice/sknock && make uninstall'
	must on_console 'systemctl enable --now sknockd; sed -i "/closed.nft/d" /etc/nftables.conf; systemctl disable nftables'
	journal_must_say "$since" 'accepting knocks$'
}

# A program that was linked with the original's library, whose functions fail here, beside which ours is.
linked_with_the_original() {
	must on_console 'cd /tmp && echo "int knock_init(void); int main(void) { return knock_init(); }" >app.c &&
		cc -shared -fPIC -Wl,-soname,libknock.so.0 /home/alice/sknock/tests/c/stub.c -o /usr/local/lib/libknock.so.0.0.0 &&
		ln -s /usr/local/lib/libknock.so.0.0.0 libknock.so && cc app.c -L. -lknock -o app && ldconfig && ./app'
	must on_console 'rm /usr/local/lib/libknock.so.0.0.0'
}

# The list comes from a web server that cron keeps supplied: every minute, to save a week.
weekly_list() {
	local url line since
	url=$(block docs/OPERATIONS.md '## Revocation lists' 1 | grep '^crlUrl')
	line=$(block docs/OPERATIONS.md '## Revocation lists' 2)
	must own "ssh root@gateway.example 'echo \"$url\" >> /etc/sknock/config.ini && sed -i /^crlFile/d /etc/sknock/config.ini'"
	must own "sknock-ca --dir ~/authority --password-file ~/authority/alice.password client bob --allow tcp/22"
	printf '%s\n' "* * * * *${line#17 4 \* \* 1}" >"$OWN/tmp/crontab"
	must own 'crontab /tmp/crontab'
	chroot "$OWN" /usr/sbin/cron
	for _ in {1..140}; do
		[ ! -e "$OWN/var/www/html/crl.der" ] || break
		sleep 0.5
	done
	[ -e "$OWN/var/www/html/crl.der" ] || fail 'cron has published nothing'
	since=$(server_time)
	must own "ssh root@gateway.example 'systemctl reload sknockd'"
	journal_must_say "$since" 'new CRL in force'
	must own 'sknock knock --identity ~/authority/bob.pfx --password-file ~/authority/alice.password gateway.example tcp/22'
	must own 'sknock-ca --dir ~/authority revoke bob && scp -q ~/authority/crl.der root@www.example.org:/var/www/html/'
	since=$(server_time)
	must own "ssh root@gateway.example 'systemctl reload sknockd'"
	journal_must_say "$since" 'closed 1 grants of'
	# The port is open by the knock of ssh, from the same address.
	must own 'sknock knock --no-verify --identity ~/authority/bob.pfx --password-file ~/authority/alice.password gateway.example tcp/22'
	journal_must_say "$since" 'reason="revoked"'
	own 'crontab -r'
}

remove_it() {
	session root ''
	mapfile -t commands < <(block docs/OPERATIONS.md '### To remove it' 1)
	[ ${#commands[@]} = 3 ] || fail 'OPERATIONS removes it by other commands now'
	must_not 'sknockd runs' own "ssh root@gateway.example 'cd /home/alice/sknock && make uninstall'"
	in_session "${commands[0]}"
	sleep 16
	refused
	in_session '! { cd /home/alice/sknock && make uninstall; }' >"$PLACE/said"
	cat "$PLACE/said"
	grep -q '^uninstall: rules are loaded' "$PLACE/said" || fail 'it does not say what keeps it'
	refused
	in_session "${commands[1]}"
	open_to_all
	in_session "cd /home/alice/sknock && ${commands[2]}"
	in_session '! find / -xdev -path /home -prune -o \( -name "*sknock*" -o -name "libknock*" -o -name knock.h \) -print |
		grep -v -e ^/etc/sknock -e ^/var/lib/sknock -e ^/var/lib/systemd'
	in_session 'ls /etc/sknock/gateway.example.pfx && ! ldconfig -p | grep knock'
	must_not 'could not be found\|not-found' on_console 'systemctl status sknockd'
	end_session
	own 'sed -i "/^Host gateway/,\$d" ~/.ssh/config'
}

# ---- MIGRATING: what the original has left in the tables that only iptables-legacy shows

the_originals_rules() {
	local command
	for command in iptables-legacy ip6tables-legacy; do
		on_console "$command -N knock && $command -A INPUT -p tcp -m tcp --dport 22 -j ACCEPT &&
			$command -A INPUT -m state --state RELATED,ESTABLISHED -j ACCEPT &&
			$command -A INPUT -j knock && $command -A INPUT -j REJECT"
	done
	on_console "$(block docs/MIGRATING.md '## 4. The original goes, this one starts' 1)" | grep -e '-A INPUT -j REJECT' >/dev/null ||
		fail 'the rules are not shown'
	must on_console "$(block docs/MIGRATING.md '## 4. The original goes, this one starts' 2)"
	! on_console "$(block docs/MIGRATING.md '## 4. The original goes, this one starts' 1)" | grep -v -- '-P .* ACCEPT' ||
		fail 'rules are left'
}

mount -t proc proc /proc
ip link set lo up
network
people
boot "$SERVER"
the_originals_rules
must own "ssh alice@gateway.example 'cd sknock && make install'"
linked_with_the_original
an_authority root
hide_ssh root ''
since=$(server_time)
reboot "$SERVER"
journal_must_say "$since" 'accepting knocks$'
refused
must own 'ssh root@gateway.example true'
upgrade
closed_from_boot_on
weekly_list
a_trial_and_an_older_list
remove_it
must own "ssh alice@gateway.example 'cd sknock && make install && sudo rm -r /etc/sknock/* /var/lib/sknock*'"
an_authority alice
must own 'cd ~/authority && scp gateway.example.pfx server.password crl.der gateway.example:'
hide_ssh alice 'sudo -i'
