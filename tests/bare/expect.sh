# What the stories of bare machines are told with: commands that must or must not work, and what is
# installed. Each command is shown.
set -euo pipefail

fail() {
	echo "unexpected: $*" >&2
	exit 1
}

# Shown, and must work.
must() {
	printf '\n# %s\n' "$*"
	"$@" || fail "status $?: $*"
}

# Must fail, and say so: must_not PATTERN COMMAND...
must_not() {
	local pattern=$1 said
	shift
	printf '\n# %s\n' "$*"
	! said=$("$@" 2>&1) || fail "it works: $*"
	echo "$said"
	grep -q -e "$pattern" <<<"$said" || fail "it does not say $pattern"
}

installed() { dpkg-query --show --showformat='${Package}\n' | sort; }

must_lack() {
	local package
	for package; do
		! installed | grep -qx -- "$package" || fail "$package is here"
	done
}
