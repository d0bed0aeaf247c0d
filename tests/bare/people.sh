# Two machines on one cable, and those who use them: alice at her own, root and alice at the server. Ours is
# the network of the own machine.

# Also for a server that was off: rules and connections are gone with its network.
network() {
	unshare --net sleep infinity &
	GATEWAY=$!
	until [ "$(readlink "/proc/$GATEWAY/ns/net")" != "$(readlink /proc/self/ns/net)" ]; do sleep 0.05; done
	ip link add own type veth peer name gateway netns "$GATEWAY"
	ip addr add 10.9.9.2/24 dev own
	ip link set own up
	nsenter --net="/proc/$GATEWAY/ns/net" sh -c 'ip addr add 10.9.9.1/24 dev gateway
		ip link set gateway up; ip link set lo up'
}

people() {
	local root file
	for root in "$SERVER" "$OWN"; do
		printf '127.0.0.1 localhost\n10.9.9.1 gateway.example\n10.9.9.2 www.example.org\n' >"$root/etc/hosts"
		chroot "$root" useradd --uid 1000 --user-group --shell /bin/bash --no-create-home alice
		cp -r "$root/etc/skel/." "$root/home/alice/"
		# It has been built; what builds is not there.
		for file in cargo rustc; do
			printf '#!/bin/sh\n[ "$1" != --version ] || echo "%s 1.99.0 (0123456 2026-01-01)"\n' "$file" >"$root/usr/bin/$file"
			chmod 755 "$root/usr/bin/$file"
		done
		chroot "$root" chown -R alice: /home/alice
	done
	echo gateway >"$SERVER/etc/hostname"
	echo '127.0.1.1 gateway' >>"$SERVER/etc/hosts"
	echo 'alice ALL=(ALL) NOPASSWD: ALL' >"$SERVER/etc/sudoers.d/alice"
	an_own_machine
	for root in "$SERVER/root" "$SERVER/home/alice" "$OWN/root"; do
		mkdir -p "$root/.ssh"
		cp "$OWN/home/alice/.ssh/id_ed25519.pub" "$root/.ssh/authorized_keys"
		chown -R --reference="$root" "$root/.ssh"
		chmod -R go= "$root/.ssh"
	done
}

# Not booted, but with the programs, an sshd and a web server: it is www.example.org, too.
an_own_machine() {
	mount --bind "$OWN" "$OWN"
	mount --rbind /dev "$OWN/dev"
	mount -t proc proc "$OWN/proc"
	mount -t tmpfs tmpfs "$OWN/run"
	mkdir -p "$OWN/run/sshd" "$OWN/var/www/html"
	chroot "$OWN" bash -c 'cd /home/alice/sknock && make --silent install-programs'
	own 'ssh-keygen -q -t ed25519 -N "" -f ~/.ssh/id_ed25519 && echo "StrictHostKeyChecking accept-new" > ~/.ssh/config'
	chroot "$OWN" /usr/sbin/sshd
	chroot "$OWN" busybox httpd -p 80 -h /var/www/html
}

# As alice at her own machine, logged in.
own() { chroot "$OWN" su - alice --command "set -e; $1" </dev/null; }

# A session at the server that stays open: session WHO BECOME. Its commands are in_session COMMANDS.
session() {
	coproc SESSION { chroot "$OWN" su - alice --command "ssh -T $1@gateway.example" 2>&1; }
	SESSION_PID=$!
	# In one channel, so that nothing comes after what was said later.
	printf 'exec 2>&1\n%s\n' "$2" >&"${SESSION[1]}"
}

in_session() {
	local line
	printf '\n# %s\n' "$1" >&2
	printf '%s\necho "ended: $?"\n' "$1" >&"${SESSION[1]}"
	while IFS= read -r -t 200 line <&"${SESSION[0]}"; do
		[[ $line != 'ended: '* ]] || break
		printf '%s\n' "$line"
	done
	[ "$line" = 'ended: 0' ] || fail "in the session: ${line:-no answer}: $1"
}

# What runs in its background does.
session_must_say() {
	local line
	while IFS= read -r -t 60 line <&"${SESSION[0]}"; do
		printf '%s\n' "$line"
		[[ $line != *' WARN '* ]] || fail 'a warning where all is as documented'
		! grep -q -e "$1" <<<"$line" || return 0
	done
	fail "the session does not say: $1"
}

end_session() {
	# Of the second shell, too, if there is one.
	printf 'exit\nexit\n' >&"${SESSION[1]}"
	wait "$SESSION_PID" || true
}
