# sKnock: `make demo` shows it, `make test` proves it. Both set up what they need.

CARGO ?= cargo
PREFIX ?= /usr/local
DESTDIR ?=
# Where packages of a distribution put things.
LIBDIR ?= $(PREFIX)/lib
UNITDIR ?= /etc/systemd/system
ZSHDIR ?= $(PREFIX)/share/zsh/site-functions
SUDO := $(shell [ "$$(id -u)" = 0 ] || echo sudo)

# Debian's users, and root after a plain `su`, do not look there.
export PATH := $(PATH):/usr/local/sbin:/usr/sbin:/sbin
# As root, with the caller's cargo and its settings: sudo forgets them.
KEPT := HOME CARGO_HOME RUSTUP_HOME RUSTUP_TOOLCHAIN CARGO_TARGET_DIR TMPDIR
AS_ROOT = $(SUDO) env "PATH=$$PATH" $(foreach name,$(KEPT),$(if $($(name)),"$(name)=$$$(name)"))

# The C library: its version, and the name that programs ask the loader for. The number is that of the
# binary interface, not of the release.
VERSION := $(shell sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml)
SONAME := libsknock.so.0
# The name that programs linked with the original's library ask for, and a file with a higher version than
# the original's libknock.so.0.0.0: of files with one soname, ldconfig takes the highest.
ORIGINAL := libknock.so.0
ORIGINAL_FILE := $(ORIGINAL).1.0
# dev or release, and where cargo puts what it builds so.
PROFILE ?= release
BUILT := $(or $(CARGO_TARGET_DIR),target)/$(PROFILE:dev=debug)

# What users get; the workspace has programs of tests and measurements, too.
SHIPPED := --package sknock-server --package sknock-cli --package sknock-certs

.PHONY: demo test torture rounds bench bench-peers peers lint audit fuzz fuzz-asan fuzz-rounds doc header manual install install-programs install-c-library uninstall build c-library dist clean bare deb

# Each installs what a Debian machine lacks for it, and no more: nmap does not belong on a server.
setup-build setup-install setup-c-library setup-demo setup-test setup-bench setup-fuzz setup-lint setup-dist setup-deb setup-bare: setup-%:
	@CARGO="$(CARGO)" packaging/setup.sh $*
.PHONY: setup-build setup-install setup-c-library setup-demo setup-test setup-bench setup-fuzz setup-lint setup-dist setup-deb setup-bare

demo: setup-demo
	$(CARGO) build --release --locked --bins $(SHIPPED)
	$(AS_ROOT) tests/demo.sh $(or $(CARGO_TARGET_DIR),target)/release

# A workspace of its own. What it measures lies beside it: with the same folder for what is built.
INTO = $(or $(CARGO_TARGET_DIR),target)
BENCH = --manifest-path bench/Cargo.toml --target-dir $(INTO)

# Tests of the whole wait for most of their time: at least six of them run at a time.
THREADS ?= $(shell n=$$(nproc); echo $$((n < 6 ? 6 : n)))
test: setup-test
	$(CARGO) build --locked --workspace --bins
	$(CARGO) test --locked --workspace --no-run
	umask 022 && $(AS_ROOT) RUST_TEST_THREADS=$(THREADS) $(CARGO) test --locked --workspace

# Faults and attacks, much longer than `make test` has time for: docs/RELIABILITY.md. Twenty minutes at
# most, without building; who is ended by force may leave namespaces and servers behind. Then whole bare
# machines, for which everything is built twice.
torture: setup-test
	$(CARGO) build --locked --workspace --bins
	$(CARGO) test --locked --no-run --package sknock-gate --package sknock-server --tests
	$(CARGO) test --locked --no-run --package sknock-tests --test torture
	$(AS_ROOT) timeout --foreground 20m $(MAKE) --no-print-directory rounds
	$(MAKE) --no-print-directory bare

# What torture does once all is built. The first syncs files all the time: in memory that takes seconds,
# on a busy disk it took eleven minutes.
rounds:
	TMPDIR=/dev/shm PROPTEST_CASES=20000 $(CARGO) test --locked --package sknock-server --test replay_model
	PROPTEST_CASES=100000 $(CARGO) test --locked --package sknock-gate --test pure model
	PROPTEST_CASES=1000 $(CARGO) test --locked --package sknock-gate --test kernel model
	$(CARGO) test --locked --package sknock-tests --test torture

# The documents' commands on bare Debians 12, which are made for it: docs/RELIABILITY.md. It builds everything
# twice and takes the network; `make bare MACHINES=install` only installs, and `MACHINES=booted` takes what is
# built here, which needs a Debian 12 here.
MACHINES ?= install demo booted
bare: setup-bare
	$(if $(filter install,$(MACHINES)),,$(MAKE) --no-print-directory PROFILE=dev build c-library)
	$(AS_ROOT) tests/bare.sh $(MACHINES)

# Prints tables; what can be drawn without peers goes to target/bench.
bench: setup-bench
	$(CARGO) build --release --locked --workspace --bins
	$(CARGO) build --release --locked $(BENCH)
	$(AS_ROOT) $(INTO)/release/sknock-bench --into target/bench

# The same with fwknop and knockd beside it. Writes docs/bench: commit it only from a quiet machine.
bench-peers: setup-bench peers
	$(CARGO) build --release --locked --workspace --bins
	$(CARGO) build --release --locked $(BENCH)
	$(AS_ROOT) $(INTO)/release/sknock-bench --peers --into docs/bench

# Debian's, and only what is missing. Where systemd runs, neither they nor a reboot starts them: they
# would change the machine's own firewall.
PEERS := fwknop-server fwknop-client knockd iptables
UNITS := fwknop-server.service knockd.service
peers:
	@missing=; \
	for tool in fwknopd fwknop knockd iptables-nft; do command -v $$tool >/dev/null || missing=1; done; \
	if [ -n "$$missing" ]; then \
		systemd=; [ ! -d /run/systemd/system ] || systemd=1; \
		[ -z "$$systemd" ] || $(SUDO) systemctl mask --runtime $(UNITS); \
		$(SUDO) apt-get update -q && \
			$(SUDO) apt-get install -y -q --no-install-recommends $(PEERS); \
		result=$$?; \
		[ -z "$$systemd" ] || $(SUDO) systemctl disable $(UNITS); \
		[ -z "$$systemd" ] || $(SUDO) systemctl unmask --runtime $(UNITS); \
		exit $$result; \
	fi

# Unoptimised it is built in a minute and answers in two seconds; as a release that takes many minutes.
DENY := $(CARGO) deny --version >/dev/null 2>&1 || \
	$(CARGO) install --debug --locked --target-dir $(abspath $(or $(CARGO_TARGET_DIR),target))/deny cargo-deny

lint: setup-lint
	$(CARGO) fmt --all --check
	$(CARGO) fmt --manifest-path fuzz/Cargo.toml --check
	$(CARGO) fmt --manifest-path bench/Cargo.toml --check
	$(CARGO) clippy --locked --workspace --all-targets -- -D warnings
	$(CARGO) clippy --locked $(BENCH) --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --locked --workspace --no-deps
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --locked $(BENCH) --no-deps
	$(DENY)
	$(CARGO) deny check --hide-inclusion-graph --allow license-exception-not-encountered licenses bans sources
	$(CARGO) deny --manifest-path bench/Cargo.toml --config deny.toml check --hide-inclusion-graph licenses bans sources
	CARGO="$(CARGO)" python3 packaging/sbom.py > /dev/null

# Known vulnerabilities. Not a part of lint: it fetches the RustSec database, and what it says can
# change without any change here.
audit: setup-build
	$(DENY)
	$(CARGO) deny check --hide-inclusion-graph advisories
	$(CARGO) deny --manifest-path bench/Cargo.toml --config deny.toml check --hide-inclusion-graph advisories

# SECONDS for each fuzz target, as many at a time as there are processors; all of them, or
# `make fuzz TARGETS=pipeline`. Stable Rust: the compiler counts edges and tells what is compared, and
# libFuzzer (C++, comes with a crate) does the rest; these are the flags that cargo-fuzz gives too.
# `--target` keeps them away from build scripts and macros. What a run finds new goes into
# fuzz/corpus, and what fails into fuzz/artifacts.
SECONDS ?= 30
TARGETS ?= $(sort $(notdir $(basename $(wildcard fuzz/targets/*.rs))))
FUZZ_FLAGS := --cfg fuzzing -C passes=sancov-module $(addprefix -C llvm-args=-sanitizer-coverage-,\
	level=4 inline-8bit-counters pc-table trace-compares)
HOST = $(shell rustc -vV | sed -n 's/^host: //p')
FUZZ_BUILT = fuzz/$(FUZZ_INTO)/$(HOST)/release
fuzz: FUZZ_INTO := target
# The same with the address sanitizer, which needs nightly Rust: for unsafe code in libraries.
fuzz-asan: CARGO += +nightly
fuzz-asan: FUZZ_FLAGS += -Z sanitizer=address
fuzz-asan: FUZZ_INTO := target/asan
fuzz fuzz-asan: setup-fuzz
	cd fuzz && RUSTFLAGS="$(FUZZ_FLAGS)" $(CARGO) build --release --locked \
		--target $(HOST) --target-dir $(FUZZ_INTO) $(addprefix --bin=,$(TARGETS))
	@$(MAKE) --no-print-directory --keep-going --jobs=$$(nproc) \
		TARGETS="$(TARGETS)" SECONDS=$(SECONDS) FUZZ_INTO=$(FUZZ_INTO) fuzz-rounds

# What fuzz does once all is built.
fuzz-rounds: $(addprefix fuzz-,$(TARGETS))
$(addprefix fuzz-,$(TARGETS)): fuzz-%:
	@fuzz/run.sh $(FUZZ_BUILT)/$* $(SECONDS)

build: setup-build
	$(CARGO) build --profile $(PROFILE) --locked --bins $(SHIPPED)

# It needs a C compiler and nothing else of Debian. The options are those of Linux's linker;
# it is never unloaded, as a resolver that takes too long still runs in it.
c-library: setup-c-library
	$(CARGO) rustc --locked --profile $(PROFILE) --package sknock-c --lib \
		--crate-type cdylib,staticlib -- \
		-C link-arg=-Wl,-soname,$(SONAME) -C link-arg=-Wl,-z,nodelete
	$(CC) -shared -nostdlib -Wl,-soname,$(ORIGINAL) -Wl,-z,nodelete -Wl,-z,noexecstack -Wl,--no-as-needed \
		-o $(BUILT)/libknock.so $(BUILT)/libsknock_c.so

# sknock.h and knock.h, from the sources.
header:
	$(CARGO) run --quiet --locked --package sknock-c --example headers

# packaging/man and packaging/completions, from the command lines, the table of keys and sknock.h.
manual:
	SKNOCK_WRITE_MANUAL=1 $(CARGO) test --quiet --locked --package sknock-cli --package sknock-certs \
		--package sknock-server --package sknock-c manual_page

# As a user who builds; only installing is done as root.
install install-programs install-c-library uninstall: as := $(if $(DESTDIR),,$(SUDO))
install: $(if $(DESTDIR),,setup-install) build install-c-library
	@$(MAKE) --no-print-directory install-programs
	@if [ -z "$(DESTDIR)" ]; then \
		getent passwd sknock >/dev/null || \
			$(as) useradd --system --no-create-home --shell /usr/sbin/nologin sknock; \
		$(as) install -d -m 755 /etc/sknock; \
		[ ! -d /run/systemd/system ] || $(as) systemctl daemon-reload; \
	fi

# What install does once all is built. The unit names the programs by their whole path: where systemd
# looks for others, and whose they are, is nothing to rely on.
install-programs: to = $(DESTDIR)$(PREFIX)
install-programs:
	$(as) install -D -m 755 $(BUILT)/sknockd $(to)/sbin/sknockd
	$(as) install -D -m 755 $(BUILT)/sknock $(to)/bin/sknock
	$(as) install -D -m 755 $(BUILT)/sknock-ca $(to)/bin/sknock-ca
	$(as) install -D -m 644 config.ini.example $(to)/share/doc/sknock/config.ini.example
	set -e; for page in packaging/man/*.[158]; do \
		$(as) install -D -m 644 $$page $(to)/share/man/man$${page##*.}/$${page##*/}; \
	done
	set -e; for shell in bash:$(PREFIX)/share/bash-completion/completions zsh:$(ZSHDIR) \
			fish:$(PREFIX)/share/fish/vendor_completions.d; do \
		for file in packaging/completions/$${shell%:*}/*; do \
			$(as) install -D -m 644 $$file $(DESTDIR)$${shell#*:}/$${file##*/}; \
		done; \
	done
	sed 's|/usr/local/|$(PREFIX)/|' packaging/systemd/sknockd.service | \
		$(as) install -D -m 644 /dev/stdin $(DESTDIR)$(UNITDIR)/sknockd.service

# What install has put there, and nothing else; configuration, keys and state stay.
uninstall:
	@$(as) packaging/uninstall.sh "$(PREFIX)" "$(DESTDIR)"

# Also under the original's name, for programs that were linked with it: a library without code that
# brings ours. ldconfig knows libraries by their own soname only, and would pass over a mere link.
install-c-library: lib = $(DESTDIR)$(LIBDIR)
install-c-library: include = $(DESTDIR)$(PREFIX)/include
install-c-library: c-library
	$(as) install -D -m 644 $(BUILT)/libsknock_c.so $(lib)/$(SONAME)
	$(as) install -D -m 644 $(BUILT)/libsknock_c.a $(lib)/libsknock.a
	$(as) ln -sf $(SONAME) $(lib)/libsknock.so
	$(as) install -D -m 644 $(BUILT)/libknock.so $(lib)/$(ORIGINAL_FILE)
	$(as) ln -sf $(ORIGINAL_FILE) $(lib)/$(ORIGINAL)
	$(as) ln -sf $(SONAME) $(lib)/libknock.so
	$(as) ln -sf libsknock.a $(lib)/libknock.a
	$(as) install -D -m 644 client-lib/c/include/sknock.h $(include)/sknock.h
	$(as) install -D -m 644 client-lib/c/include/knock.h $(include)/knock.h
	$(as) install -D -m 644 packaging/man/sknock.h.3 $(DESTDIR)$(PREFIX)/share/man/man3/sknock.h.3
	sed 's|@PREFIX@|$(PREFIX)|; s|@LIBDIR@|$(LIBDIR)|; s|@VERSION@|$(VERSION)|' client-lib/c/sknock.pc.in | \
		$(as) install -D -m 644 /dev/stdin $(lib)/pkgconfig/sknock.pc
	$(if $(DESTDIR),,$(as) ldconfig)

# The sources of the last commit, what is built into them (CycloneDX), and their checksums; the same
# bytes wherever it is made. What gzip makes of the tar depends on its version, so the checksum is the
# tar's. `cargo fetch` is the only thing that asks the network.
DIST := target/dist
dist: setup-dist
	$(CARGO) fetch --locked
	mkdir -p $(DIST)
	packaging/sources.sh sknock-$(VERSION) > $(DIST)/sknock-$(VERSION).tar
	CARGO="$(CARGO)" python3 packaging/sbom.py > $(DIST)/sknock-$(VERSION).cdx.json
	cd $(DIST) && sha256sum sknock-$(VERSION).tar sknock-$(VERSION).cdx.json > sknock-$(VERSION).sha256
	gzip -f -k -n -9 $(DIST)/sknock-$(VERSION).tar

# Debian packages in target/deb. They are built where Rust is; machines where they are installed need none.
deb: setup-deb
	$(MAKE) --no-print-directory build c-library
	@CARGO="$(CARGO)" packaging/deb.sh $(VERSION) $(abspath $(or $(CARGO_TARGET_DIR),target))

clean:
	$(CARGO) clean
