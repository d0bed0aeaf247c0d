#!/usr/bin/env bash
# The sources of the last commit as a tar, on standard output: the same bytes whatever is set up for git, the
# umask, the language and the time zone. Usage: sources.sh NAME > NAME.tar
set -euo pipefail
name=$1

# git's archives go by settings and attributes of the machine, the user and the repository. Another repository,
# without any, has the same objects.
unset "${!GIT_@}"
export GIT_CONFIG_NOSYSTEM=1 GIT_ATTR_NOSYSTEM=1 GIT_CONFIG_GLOBAL=/dev/null HOME=/dev/null LC_ALL=C TZ=UTC
ours=(git -c safe.directory="$PWD")
commit=$("${ours[@]}" rev-parse HEAD)
objects=$(realpath "$("${ours[@]}" rev-parse --git-path objects)")
bare=$(mktemp -d)
trap 'rm -rf "$bare"' EXIT
git init -q --bare --template= "$bare"
mkdir -p "$bare/objects/info"
echo "$objects" >"$bare/objects/info/alternates"
git --git-dir="$bare" -c tar.umask=0022 archive --format=tar --prefix="$name/" "$commit"
