#!/usr/bin/env bash
# The story of one hidden service, told by real programs: a gateway, a client and a stranger, each in
# a network namespace of its own. Every command is shown, run, and held to its outcome.
#
# Usage, as root: tests/demo.sh FOLDER_OF_THE_PROGRAMS. The host's own firewall is not touched.
# Exit status 0 only if every step had the expected result.
set -euo pipefail
# Whatever the caller's are: nobody must be able to walk to the network process's files, and programs'
# words are looked at.
umask 022
export LC_ALL=C.UTF-8
cd "$(dirname "$0")/.."

BIN=$(realpath "${1:?usage: tests/demo.sh FOLDER_OF_THE_PROGRAMS}")
TAG="sknock-$$"
ROOT=$(mktemp -d /tmp/sknock-demo.XXXXXX)
LOG="$ROOT/gateway/log"
OUT='' CODE=0 DAEMON='' NETWORK='' MARK=0 CHAPTER=0 KNOCKED=0
readonly HOSTS=(gateway client stranger)
readonly HELLO='echo hello | busybox nc -w 1'

if [ -t 1 ]; then BOLD=$'\e[1m' DIM=$'\e[2m' GREEN=$'\e[32m' RED=$'\e[31m' PLAIN=$'\e[0m'
else BOLD='' DIM='' GREEN='' RED='' PLAIN=''; fi

# ---- telling

chapter() { CHAPTER=$((CHAPTER + 1)); printf '\n%s%d. %s%s\n' "$BOLD" "$CHAPTER" "$*" "$PLAIN"; }
good() { printf '   %s✓ %s%s\n' "$GREEN" "$*" "$PLAIN"; }
show() { sed 's/^/   /'; }

bad() {
    printf '   %s✗ unexpected: %s%s\n' "$RED" "$*" "$PLAIN"
    [ ! -s "$LOG" ] || { echo "   the server's log ends:"; tail -n 15 "$LOG" | show; }
    exit 1
}

# Runs a command on a host (the administrator's has no network), shows both it and what it says.
on() {
    local host=$1 command=$2
    printf '%s%s$%s %s\n' "$BOLD" "$host" "$PLAIN" "$command"
    CODE=0
    OUT=$(inside "$host" bash -c "$command" 2>&1) || CODE=$?
    [ -z "$OUT" ] || printf '%s%s%s\n' "$DIM" "$OUT" "$PLAIN" | show
}

must() { on "$@"; [ "$CODE" = 0 ] || bad "that failed with status $CODE"; }

# Takes the place of the shell that calls it, so that a background job's number is the program's.
become() {
    local host=$1 net=()
    shift
    [ "$host" = admin ] || net=(ip netns exec "$TAG-$host")
    cd "$ROOT/$host"
    exec "${net[@]}" env -i HOME="$ROOT/$host" PATH="$BIN:$PATH" "$@"
}

inside() { (become "$@"); }

# ---- holding to the outcome

is_refused() { [[ $OUT == *refused* ]] || bad "the connection was not refused"; good "$*"; }
is_answered() { [ "$OUT" = hello ] || bad "the service did not answer"; good "$*"; }

# Waits for the log to say something after the last `mark`, and shows that line.
mark() { MARK=$(wc -c < "$LOG"); }
log_says() {
    local pattern=$1 end=$((SECONDS + ${2:-8})) line
    until line=$(tail -c "+$((MARK + 1))" "$LOG" | grep -m 1 -E -- "$pattern"); do
        [ "$SECONDS" -lt "$end" ] || bad "the log does not say \"$pattern\""
        sleep 0.05
    done
    printf '   %slog: %s%s\n' "$DIM" "$line" "$PLAIN"
}

# ---- the stage

end() {
    local code=$? host pid inode
    trap - EXIT
    for host in "${HOSTS[@]}"; do
        inode=$(stat -Lc %i "/run/netns/$TAG-$host" 2> /dev/null) || continue
        # Whatever lives in a namespace of ours is ours.
        for pid in $(ip netns pids "$TAG-$host"); do kill -9 "$pid" 2> /dev/null || true; done
        ip netns delete "$TAG-$host" || true
        rm -f "/run/sknock/net-$inode.lock"
    done
    rm -rf "$ROOT"
    exit "$code"
}

# Runs a program on a host for as long as the demo runs.
background() {
    become "$@" &
    disown
}

cable() {
    local name=$1 net=$2 peer="$TAG-$1" gateway="$TAG-gateway"
    ip -n "$gateway" link add "$name" type veth peer name eth0 netns "$peer"
    ip -n "$gateway" addr add "10.77.$net.1/24" dev "$name"
    ip -n "$gateway" link set "$name" up
    ip -n "$peer" addr add "10.77.$net.2/24" dev eth0
    ip -n "$peer" link set eth0 up
}

build_the_stage() {
    local host
    for host in "${HOSTS[@]}"; do
        ip netns add "$TAG-$host"
        ip -n "$TAG-$host" link set lo up
    done
    cable client 1
    cable stranger 2
    # The network process, which is nobody, must be able to walk to its own folder.
    chmod 711 "$ROOT"
    # So must it be able to run the program, whatever the umask of who built it.
    install -D -m 755 -t "$ROOT/bin" "$BIN"/{sknockd,sknock,sknock-ca}
    BIN=$ROOT/bin
    mkdir "$ROOT"/{admin,gateway,client,stranger} "$ROOT/gateway/web"
    : > "$LOG"
    (umask 077 && head -c 15 /dev/urandom | base64 | tee "$ROOT"/{admin,gateway,client}/password > /dev/null)
    background gateway busybox httpd -f -p 8080 -h web
    background gateway busybox nc -ll -p 2222 -e cat
}

write_configuration() {
    cat > "$ROOT/gateway/config.ini" <<'INI'
[DEFAULT]
serverPFXFile = gateway.pfx
PFXPasswdFile = password
crlUrl = http://10.77.1.1:8080/crl.der
protectedPorts = tcp/2222
firewallPolicy = reject
PORT_OPEN_DURATION_IN_SECONDS = 3
TIMESTAMP_THRESHOLD_IN_SECONDS = 5
stateDir = state
user = nobody
INI
}

# ---- the story

an_authority() {
    chapter 'An authority, a server, two clients. The server will know none of them by name.'
    must admin 'sknock-ca --dir ca init'
    local with='sknock-ca --dir ca --password-file password'
    must admin "$with server gateway"
    must admin "$with client alice --allow tcp/2222"
    must admin "$with client bob --allow tcp/2222"
    must admin 'cp ca/gateway.pfx ../gateway/; cp ca/crl.der ../gateway/web/'
    must client 'mkdir -p .config/sknock && cp password ../admin/ca/bob.pfx .config/sknock/ &&
        cp ../admin/ca/alice.pfx .config/sknock/identity.pfx &&
        cp ../admin/ca/gateway.cer .config/sknock/server.cer'
}

the_server() {
    chapter 'The server protects tcp/2222, where an echo service listens.'
    write_configuration
    must client "$HELLO 10.77.1.1 2222"
    is_answered 'without sKnock every client can connect'
    must gateway 'cat config.ini; sknockd check --config config.ini'
    good 'check reports no errors'
    start_the_server
}

start_the_server() {
    local command='sknockd run --config config.ini'
    printf '%sgateway$%s SKNOCK_LOG=info,audit=trace %s &\n' "$BOLD" "$PLAIN" "$command"
    mark
    # shellcheck disable=SC2086 # words
    background gateway env SKNOCK_LOG=info,audit=trace $command 2>> "$LOG"
    DAEMON=$!
    log_says 'network process started'
    learn_its_number
    log_says 'protecting status'
    log_says 'accepting knocks$' 12
    good 'protected; a first start refuses knocks for one timestamp window, because it has no replay journal'
}

# Of the network process; a reload starts another one.
learn_its_number() { NETWORK=$(sed -n 's/.*network process started pid=\([0-9]*\).*/\1/p' "$LOG" | tail -n 1); }

closed() {
    chapter 'Without a grant.'
    on client "$HELLO 10.77.1.1 2222"
    is_refused 'to the client the port looks closed'
}

a_knock() {
    chapter 'A knock: one datagram, recorded with tcpdump.'
    printf '%sclient$%s tcpdump -i eth0 -w ../knock.pcap -c 1 udp dst port 62344 &\n' "$BOLD" "$PLAIN"
    background client tcpdump --immediate-mode -Z root -i eth0 -w ../knock.pcap -c 1 \
        udp dst port 62344 2> "$ROOT/tap"
    until grep -q 'listening on' "$ROOT/tap"; do sleep 0.02; done
    mark
    KNOCKED=$(date +%s.%3N)
    must client 'sknock knock 10.77.1.1 tcp/2222'
    log_says ' audit: granted'
}

an_open_door() {
    chapter 'A grant, for this address and no other.'
    must client "$HELLO 10.77.1.1 2222"
    is_answered 'the client can connect'
    on stranger "$HELLO 10.77.2.1 2222"
    is_refused 'another address cannot'
    must gateway 'nft list set inet sknock grant4'
    [[ $OUT == *10.77.1.2* && $OUT == *expires* ]] || bad 'the kernel has no such element'
    good 'the grant is a set element that the kernel removes when it expires'
    stay_connected
}

# A connection that continues while the grant expires.
stay_connected() {
    printf '%sclient$%s busybox nc 10.77.1.1 2222     # and stays connected\n' "$BOLD" "$PLAIN"
    coproc LINE { become client busybox nc 10.77.1.1 2222; }
    disown
    talk_on_the_line
    good 'connected'
}

talk_on_the_line() {
    local answer=''
    echo 'still there?' >&"${LINE[1]}"
    read -r -t 2 answer <&"${LINE[0]}" || true
    [ "$answer" = 'still there?' ] || bad 'the connection does not answer'
}

an_expiry() {
    chapter 'Expired.'
    must client 'sleep 3.2'
    on client "$HELLO 10.77.1.1 2222"
    is_refused 'the grant has expired'
    talk_on_the_line
    good 'the existing connection continues'
}

a_replay() {
    chapter 'The very same datagram again, from the same address.'
    must client 'tail -c 1200 ../knock.pcap > ../knock && wc -c ../knock'
    must gateway "sknockd explain --config config.ini --from 10.77.1.2 --at $KNOCKED ../knock"
    [[ $OUT == *'"verdict":"grant"'* ]] || bad 'the recorded datagram is not valid'
    good 'explain, which does not use the replay journal, would have granted it at that time'
    mark
    must client 'cat ../knock > /dev/udp/10.77.1.1/62344'
    log_says ' audit: refused .*reason="repeated"'
    on client "$HELLO 10.77.1.1 2222"
    is_refused 'a knock is accepted only once'
}

a_revocation() {
    chapter 'Revoked, while a grant is active.'
    must client 'sknock knock --lifetime 60 10.77.1.1 tcp/2222'
    must admin 'sknock-ca --dir ca revoke alice && cp ca/crl.der ../gateway/web/'
    mark
    must gateway "kill -HUP $DAEMON     # or wait for CRL_UPDATE_INTERVAL_IN_MINUTES"
    log_says 'new CRL in force'
    log_says ' gate: closed 1 grant'
    learn_its_number
    on client "$HELLO 10.77.1.1 2222"
    is_refused 'her grant is closed at once, although it was for 60 s'
    mark
    on client 'sknock knock --attempts 1 --timeout 2 10.77.1.1 tcp/2222'
    [ "$CODE" = 1 ] || bad "the knock ended with status $CODE, not 1"
    log_says ' audit: refused .*reason="revoked"'
    good 'further knocks with this certificate are refused'
}

a_crash() {
    chapter 'kill -9, both processes, while a grant is active.'
    must client 'sknock knock --identity .config/sknock/bob.pfx --lifetime 4 10.77.1.1 tcp/2222'
    must gateway "kill -9 $NETWORK $DAEMON"
    while kill -0 "$DAEMON" 2> /dev/null || kill -0 "$NETWORK" 2> /dev/null; do sleep 0.02; done
    must client "$HELLO 10.77.1.1 2222"
    is_answered 'no sknockd runs, and the grant is still active'
    must client 'sleep 4.2'
    on client "$HELLO 10.77.1.1 2222"
    is_refused 'it expires on time'
    on stranger "$HELLO 10.77.2.1 2222"
    is_refused 'and the rules stay'
}

the_way_back() {
    chapter 'Remove all rules from the console.'
    must gateway 'sknockd open'
    must gateway 'nft list ruleset'
    [ -z "$OUT" ] || bad 'something was left behind'
    must client "$HELLO 10.77.1.1 2222"
    is_answered 'all ports are reachable as before sKnock'
}

main() {
    [ "$(id -u)" = 0 ] || { echo 'demo.sh: run as root: it creates network namespaces' >&2; exit 1; }
    trap end EXIT
    trap 'exit 130' INT TERM
    build_the_stage
    an_authority
    the_server
    closed
    a_knock
    an_open_door
    an_expiry
    a_replay
    a_revocation
    a_crash
    the_way_back
    printf '\n%sThe demo was completed in %d s.%s\n' "$BOLD" "$SECONDS" "$PLAIN"
}

main
