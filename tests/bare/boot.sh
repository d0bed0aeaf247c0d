# A machine in a folder is booted with systemd as its first process, as services are on any server. Its
# network is that of the process GATEWAY; BOOTED is its systemd.

# Control groups of its own, below ours, in each hierarchy that systemd uses.
groups() {
	local line controllers path at
	while IFS=: read -r _ controllers path; do
		case $controllers in
		'') at=$(awk '/ - cgroup2 / { print $5; exit }' /proc/self/mountinfo) ;;
		name=systemd) at=$(awk '/ - cgroup .*name=systemd/ { print $5; exit }' /proc/self/mountinfo) ;;
		*) continue ;;
		esac
		line=$at${path%/}/${GROUP:-sknock-bare}-$BASHPID
		[ -z "$at" ] || { mkdir -p "$line" && echo "$line"; }
	done </proc/self/cgroup
}

boot() {
	local root=$1 group tries
	shift
	mapfile -t GROUPS_MADE < <(groups)
	# As on a machine: the firewall is its own, and programs may confine themselves.
	(
		for group in "${GROUPS_MADE[@]}"; do echo "$BASHPID" >"$group/cgroup.procs"; done
		exec systemd-nspawn --quiet --register=no --keep-unit --link-journal=no --directory "$root" \
			--network-namespace-path="/proc/$GATEWAY/ns/net" --capability=CAP_NET_ADMIN \
			'--system-call-filter=landlock_create_ruleset landlock_add_rule landlock_restrict_self' \
			--console=pipe --boot "$@" </dev/null >"$root.console" 2>&1
	) &
	NSPAWN=$!
	for tries in {1..300}; do
		BOOTED=$(cut -d ' ' -f 1 "/proc/$NSPAWN/task/$NSPAWN/children" 2>/dev/null || true)
		[ -z "$BOOTED" ] || ! grep -qs '^Name:.systemd$' "/proc/$BOOTED/status" || break
		sleep 0.1
	done
	for tries in {1..300}; do
		! on_console 'systemctl is-active --quiet ssh 2>/dev/null' || return 0
		sleep 0.2
	done
	tail -n 40 "$root.console" >&2
	fail "after $tries tries it has not booted"
}

# As root, at the machine itself.
on_console() {
	nsenter --target="$BOOTED" --mount --uts --ipc --pid --net --cgroup \
		/usr/bin/env -i TERM=dumb HOME=/root PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
		bash -c "$1" </dev/null
}

# As when somebody pulls the plug, and puts it back.
reboot() {
	local group
	kill -KILL "$BOOTED"
	wait "$NSPAWN" || true
	kill "$GATEWAY"
	until ! ip link show own >/dev/null 2>&1; do sleep 0.1; done
	network
	for group in "${GROUPS_MADE[@]}"; do find "$group" -depth -type d -exec rmdir {} + 2>/dev/null || true; done
	boot "$@"
}
