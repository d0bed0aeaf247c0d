# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_sknock_global_optspecs
    string join \n h/help
end

function __fish_sknock_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_sknock_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_sknock_using_subcommand
    set -l cmd (__fish_sknock_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c sknock -n "__fish_sknock_needs_command" -s h -l help -d 'Print help'
complete -c sknock -n "__fish_sknock_needs_command" -f -a "knock" -d 'Request access to services of a host for this machine'
complete -c sknock -n "__fish_sknock_needs_command" -f -a "connect" -d 'Request access to a TCP port, and connect stdin and stdout to it'
complete -c sknock -n "__fish_sknock_using_subcommand knock" -l identity -d 'Your key and certificate, PKCS#12' -r -F
complete -c sknock -n "__fish_sknock_using_subcommand knock" -l server-cert -d 'The server\'s certificate, DER or PEM' -r -F
complete -c sknock -n "__fish_sknock_using_subcommand knock" -l password-file -d 'File with the password of the identity; one trailing line end is ignored' -r -F
complete -c sknock -n "__fish_sknock_using_subcommand knock" -l knock-port -d 'UDP port to which knocks are sent [default: 62344; with --protocol v1 a random one from 10000 to 60000]' -r
complete -c sknock -n "__fish_sknock_using_subcommand knock" -l protocol -d 'Protocol version; v1 is for servers of sKnock 1.0, which never answer' -r
complete -c sknock -n "__fish_sknock_using_subcommand knock" -l address -d 'Client address for the grant: an IP address; \'source\' = the address from which the server receives the knock (behind NAT); \'auto\' = the local address if it is public or the server is on the same network, otherwise the public address if it is known, otherwise \'source\'' -r
complete -c sknock -n "__fish_sknock_using_subcommand knock" -l lifetime -d 'Duration of the grant in seconds; the server may shorten it [default: setting of the server]' -r
complete -c sknock -n "__fish_sknock_using_subcommand knock" -l attempts -d 'Maximum number of knocks' -r
complete -c sknock -n "__fish_sknock_using_subcommand knock" -l timeout -d 'Time limit in seconds' -r
complete -c sknock -n "__fish_sknock_using_subcommand knock" -l once -d 'Single-use grant: for one TCP connection (single TCP ports only; no test connection is made)'
complete -c sknock -n "__fish_sknock_using_subcommand knock" -l no-verify -d 'Send one knock without waiting for the answer or testing the port'
complete -c sknock -n "__fish_sknock_using_subcommand knock" -s 4 -l ipv4 -d 'Use IPv4 only'
complete -c sknock -n "__fish_sknock_using_subcommand knock" -s 6 -l ipv6 -d 'Use IPv6 only'
complete -c sknock -n "__fish_sknock_using_subcommand knock" -l json -d 'Report in one line of JSON (on stdout; with connect on stderr)'
complete -c sknock -n "__fish_sknock_using_subcommand knock" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c sknock -n "__fish_sknock_using_subcommand connect" -l identity -d 'Your key and certificate, PKCS#12' -r -F
complete -c sknock -n "__fish_sknock_using_subcommand connect" -l server-cert -d 'The server\'s certificate, DER or PEM' -r -F
complete -c sknock -n "__fish_sknock_using_subcommand connect" -l password-file -d 'File with the password of the identity; one trailing line end is ignored' -r -F
complete -c sknock -n "__fish_sknock_using_subcommand connect" -l knock-port -d 'UDP port to which knocks are sent [default: 62344; with --protocol v1 a random one from 10000 to 60000]' -r
complete -c sknock -n "__fish_sknock_using_subcommand connect" -l protocol -d 'Protocol version; v1 is for servers of sKnock 1.0, which never answer' -r
complete -c sknock -n "__fish_sknock_using_subcommand connect" -l address -d 'Client address for the grant: an IP address; \'source\' = the address from which the server receives the knock (behind NAT); \'auto\' = the local address if it is public or the server is on the same network, otherwise the public address if it is known, otherwise \'source\'' -r
complete -c sknock -n "__fish_sknock_using_subcommand connect" -l lifetime -d 'Duration of the grant in seconds; the server may shorten it [default: setting of the server]' -r
complete -c sknock -n "__fish_sknock_using_subcommand connect" -l attempts -d 'Maximum number of knocks' -r
complete -c sknock -n "__fish_sknock_using_subcommand connect" -l timeout -d 'Time limit in seconds' -r
complete -c sknock -n "__fish_sknock_using_subcommand connect" -l once -d 'Single-use grant: for one TCP connection (single TCP ports only; no test connection is made)'
complete -c sknock -n "__fish_sknock_using_subcommand connect" -l no-verify -d 'Send one knock without waiting for the answer or testing the port'
complete -c sknock -n "__fish_sknock_using_subcommand connect" -s 4 -l ipv4 -d 'Use IPv4 only'
complete -c sknock -n "__fish_sknock_using_subcommand connect" -s 6 -l ipv6 -d 'Use IPv6 only'
complete -c sknock -n "__fish_sknock_using_subcommand connect" -l json -d 'Report in one line of JSON (on stdout; with connect on stderr)'
complete -c sknock -n "__fish_sknock_using_subcommand connect" -s h -l help -d 'Print help (see more with \'--help\')'
