# The commands of the documents, as they stand there.

# Those of a step of the README, from its number on.
step() { sed -n "/^\*\*$1\. /,\$p" README.md | sed -n '/^```$/,/^```$/p' | sed '1d;/^```$/,$d'; }

# The Nth block of code below a heading: block FILE HEADING N.
block() {
	awk -v heading="$2" -v wanted="$3" '
		$0 == heading { inside = 1; next }
		!inside { next }
		/^```/ { code = !code; count += code; next }
		code && count == wanted { print }
		!code && /^#/ { exit }' "$1" | grep .
}
