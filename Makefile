# sKnock: `make demo` shows it, `make test` proves it. Both set up what they need.

CARGO ?= cargo
PREFIX ?= /usr/local
DESTDIR ?=
SUDO := $(shell [ "$$(id -u)" = 0 ] || echo sudo)

# What a Debian machine may lack: netlink libraries to build; nft, ip, openssl and ssh-free tools to
# test; a small web server and a wiretap for the demo.
PACKAGES := libnftnl-dev libmnl-dev pkg-config gcc nftables iproute2 openssl curl busybox tcpdump
NEEDED := nft ip openssl curl cc pkg-config busybox tcpdump

.PHONY: demo test bench lint audit fuzz doc install setup build clean

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
	$(CARGO) fmt --manifest-path fuzz/Cargo.toml --check
	$(CARGO) clippy --locked --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --locked --workspace --no-deps
	$(CARGO) deny --version >/dev/null 2>&1 || $(CARGO) install --locked cargo-deny
	$(CARGO) deny check --hide-inclusion-graph licenses bans sources

# Known vulnerabilities. Not a part of lint: it fetches the RustSec database, and what it says can
# change without any change here.
audit:
	$(CARGO) deny --version >/dev/null 2>&1 || $(CARGO) install --locked cargo-deny
	$(CARGO) deny check --hide-inclusion-graph advisories

# Seconds for each fuzz target; needs nightly Rust, cargo-fuzz and a C++ compiler. What is found new
# goes into fuzz/corpus, and what fails into fuzz/artifacts.
SECONDS ?= 30
fuzz: setup
	$(CARGO) fuzz --version >/dev/null 2>&1 || $(CARGO) install --locked cargo-fuzz
	cd fuzz && for target in $$($(CARGO) +nightly fuzz list); do \
		mkdir -p "corpus/$$target" && \
		$(CARGO) +nightly fuzz run "$$target" "corpus/$$target" "seeds/$$target" -- \
			-max_total_time=$(SECONDS) -max_len=4096 -print_final_stats=1 || exit 1; \
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

# As a user who builds; only installing is done as root.
install: as := $(if $(DESTDIR),,$(SUDO))
install: build
	$(as) install -D -m 755 target/release/sknockd $(DESTDIR)$(PREFIX)/sbin/sknockd
	$(as) install -D -m 755 target/release/sknock $(DESTDIR)$(PREFIX)/bin/sknock
	$(as) install -D -m 755 target/release/sknock-ca $(DESTDIR)$(PREFIX)/bin/sknock-ca
	$(as) install -D -m 644 config.ini.example $(DESTDIR)$(PREFIX)/share/doc/sknock/config.ini.example
	$(as) install -D -m 644 packaging/systemd/sknockd.service $(DESTDIR)/etc/systemd/system/sknockd.service
	@if [ -z "$(DESTDIR)" ]; then \
		getent passwd sknock >/dev/null || \
			$(as) useradd --system --no-create-home --shell /usr/sbin/nologin sknock; \
		$(as) install -d -m 755 /etc/sknock; \
	fi

clean:
	$(CARGO) clean
