# sKnock: `make demo` shows it, `make test` proves it. Both set up what they need.

CARGO ?= cargo
PREFIX ?= /usr/local
DESTDIR ?=
SUDO := $(shell [ "$$(id -u)" = 0 ] || echo sudo)

# What a Debian machine may lack: netlink libraries to build; nft, ip, openssl and ssh-free tools to
# test; a small web server and a wiretap for the demo.
PACKAGES := libnftnl-dev libmnl-dev pkg-config gcc nftables iproute2 openssl curl busybox tcpdump
NEEDED := nft ip openssl curl cc pkg-config busybox tcpdump

.PHONY: demo test bench lint fuzz doc install setup build clean

demo: setup
	$(CARGO) build --release --locked --bins
	$(SUDO) env "PATH=$$PATH" tests/demo.sh target/release

test: setup
	$(CARGO) build --locked --workspace --bins
	$(SUDO) env "PATH=$$PATH" "HOME=$$HOME" $(CARGO) test --locked --workspace

bench: setup
	$(CARGO) build --release --locked --workspace --bins
	$(SUDO) env "PATH=$$PATH" "HOME=$$HOME" target/release/sknock-bench

lint: setup
	$(CARGO) fmt --all --check
	$(CARGO) clippy --locked --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --locked --workspace --no-deps
	$(CARGO) deny --version >/dev/null 2>&1 || $(CARGO) install --locked cargo-deny
	$(CARGO) deny check licenses bans sources

# Seconds for each fuzz target; needs nightly Rust and cargo-fuzz.
SECONDS ?= 30
fuzz: setup
	$(CARGO) fuzz --version >/dev/null 2>&1 || $(CARGO) install --locked cargo-fuzz
	cd fuzz && for target in $$($(CARGO) +nightly fuzz list); do \
		$(CARGO) +nightly fuzz run "$$target" -- -max_total_time=$(SECONDS) || exit 1; \
	done

# Installs only what is missing, so that a machine that has all needs no network.
setup:
	@missing=; \
	for tool in $(NEEDED); do command -v $$tool >/dev/null || missing=1; done; \
	pkg-config --exists libnftnl libmnl 2>/dev/null || missing=1; \
	if [ -n "$$missing" ]; then \
		$(SUDO) apt-get update -q && $(SUDO) apt-get install -y -q --no-install-recommends $(PACKAGES); \
	fi

build: setup
	$(CARGO) build --release --locked --bins

install: build
	install -D -m 755 target/release/sknockd $(DESTDIR)$(PREFIX)/sbin/sknockd
	install -D -m 755 target/release/sknock $(DESTDIR)$(PREFIX)/bin/sknock
	install -D -m 755 target/release/sknock-ca $(DESTDIR)$(PREFIX)/bin/sknock-ca
	install -D -m 644 config.ini.example $(DESTDIR)$(PREFIX)/share/doc/sknock/config.ini.example
	install -D -m 644 packaging/systemd/sknockd.service $(DESTDIR)/etc/systemd/system/sknockd.service
	@if [ -z "$(DESTDIR)" ]; then \
		getent passwd sknock >/dev/null || useradd --system --no-create-home --shell /usr/sbin/nologin sknock; \
		install -d -m 755 /etc/sknock; \
	fi

clean:
	$(CARGO) clean
