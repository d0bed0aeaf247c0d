#!/usr/bin/env bash
# Debian packages of what is built: deb.sh VERSION TARGET; they come to TARGET/deb. `make deb` builds first.
set -euo pipefail
cd "$(dirname "$0")/.."
readonly SOURCES=$PWD VERSION=${1:?usage: deb.sh VERSION TARGET} TARGET=${2:?usage: deb.sh VERSION TARGET}
readonly STAGE=$TARGET/deb/sknock-$VERSION
# Dates within packages: of the last commit, so that the same sources make the same packages.
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git -c safe.directory="$SOURCES" log -1 --format=%ct 2>/dev/null || stat -c %Y CHANGELOG.md)}
# The former packages must not be taken for these.
rm -rf "$TARGET/deb"
mkdir -p "$STAGE"
export SOURCES SOURCE_DATE_EPOCH CARGO_TARGET_DIR=$TARGET
umask 022
cp -r packaging/debian "$STAGE/debian"
cp -r README.md CHANGELOG.md docs "$STAGE"
cat >"$STAGE/debian/changelog" <<END
sknock ($VERSION) unstable; urgency=medium

  * See the changelog of the project.

 -- The sKnock authors <authors@sknock.invalid>  $(date --utc --rfc-email --date="@$SOURCE_DATE_EPOCH")
END
cd "$STAGE"
# Rust is no package of Debian here, so the dependencies are what `setup.sh deb` has looked for.
dpkg-buildpackage --build=binary --no-sign --no-check-builddeps >"$TARGET/deb/log" 2>&1 || {
	tail -n 30 "$TARGET/deb/log" >&2
	exit 1
}
rm -r "$STAGE"
ls -l "$TARGET"/deb/*.deb
