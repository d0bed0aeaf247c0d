# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_sknockd_global_optspecs
    string join \n h/help
end

function __fish_sknockd_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_sknockd_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_sknockd_using_subcommand
    set -l cmd (__fish_sknockd_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c sknockd -n "__fish_sknockd_needs_command" -s h -l help -d 'Print help'
complete -c sknockd -n "__fish_sknockd_needs_command" -f -a "run" -d 'Load the rules and process knocks until SIGTERM or SIGINT; SIGHUP reloads configuration, keys and CRLs'
complete -c sknockd -n "__fish_sknockd_needs_command" -f -a "confirm" -d 'Confirm the trial: keep the new rules; exit status 75 if the trial has expired, 69 if no server runs'
complete -c sknockd -n "__fish_sknockd_needs_command" -f -a "reload" -d 'Reload configuration, keys and CRLs of the running server, as SIGHUP does, and wait until they are in force; exit status 1 if they cannot be, with the reasons'
complete -c sknockd -n "__fish_sknockd_needs_command" -f -a "check" -d 'Test configuration, keys, CRLs and firewall, and change nothing; exit status 78 on errors'
complete -c sknockd -n "__fish_sknockd_needs_command" -f -a "explain" -d 'Evaluate recorded datagrams as the server would; prints one line of JSON for each file'
complete -c sknockd -n "__fish_sknockd_needs_command" -f -a "grants" -d 'List the active grants. Members of the group sknock-admin can run this, too, while the server runs'
complete -c sknockd -n "__fish_sknockd_needs_command" -f -a "close" -d 'Close grants and terminate their connections, also those of expired grants; exit status 1 if none matched. The client can knock again: to prevent that, revoke its certificate'
complete -c sknockd -n "__fish_sknockd_needs_command" -f -a "open" -d 'Remove the rules of a stopped server: all ports become reachable. Fails while sknockd runs. Does not undo `close`'
complete -c sknockd -n "__fish_sknockd_using_subcommand run" -l config -d 'Configuration file' -r -F
complete -c sknockd -n "__fish_sknockd_using_subcommand run" -l confirm -d 'Trial: roll back after SECONDS (1 to 3600) unless `sknockd confirm` is run, even if sknockd has died' -r
complete -c sknockd -n "__fish_sknockd_using_subcommand run" -s h -l help -d 'Print help'
complete -c sknockd -n "__fish_sknockd_using_subcommand confirm" -s h -l help -d 'Print help'
complete -c sknockd -n "__fish_sknockd_using_subcommand reload" -l confirm -d 'Trial: roll back after SECONDS (1 to 3600) unless `sknockd confirm` is run, even if sknockd has died' -r
complete -c sknockd -n "__fish_sknockd_using_subcommand reload" -s h -l help -d 'Print help'
complete -c sknockd -n "__fish_sknockd_using_subcommand check" -l config -d 'Configuration file' -r -F
complete -c sknockd -n "__fish_sknockd_using_subcommand check" -l json -d 'Findings as JSON'
complete -c sknockd -n "__fish_sknockd_using_subcommand check" -s h -l help -d 'Print help'
complete -c sknockd -n "__fish_sknockd_using_subcommand explain" -l config -d 'Configuration file' -r -F
complete -c sknockd -n "__fish_sknockd_using_subcommand explain" -l at -d 'Time of arrival: as in the log (2026-11-28T18:25:21.902Z, RFC 3339), or seconds since 1970 UTC with up to three decimals [default: now]' -r
complete -c sknockd -n "__fish_sknockd_using_subcommand explain" -l from -d 'Address of the sender: IP or IP:PORT' -r
complete -c sknockd -n "__fish_sknockd_using_subcommand explain" -s h -l help -d 'Print help'
complete -c sknockd -n "__fish_sknockd_using_subcommand grants" -l json -d 'As JSON'
complete -c sknockd -n "__fish_sknockd_using_subcommand grants" -s h -l help -d 'Print help'
complete -c sknockd -n "__fish_sknockd_using_subcommand close" -l knock -d 'By the ID of the knock' -r
complete -c sknockd -n "__fish_sknockd_using_subcommand close" -l serial -d 'By the serial number of the certificate. If several CAs have used it, --issuer has to say which' -r
complete -c sknockd -n "__fish_sknockd_using_subcommand close" -l issuer -d 'By the CA of the certificate, as `sknockd grants` shows it: 24 hexadecimal digits' -r
complete -c sknockd -n "__fish_sknockd_using_subcommand close" -l name -d 'By the name in the certificate, as `sknockd grants` shows it: at most 64 characters, with `_` in place of other letters. It can stand for several names; --serial means one certificate' -r
complete -c sknockd -n "__fish_sknockd_using_subcommand close" -l address -d 'By the address of the client' -r
complete -c sknockd -n "__fish_sknockd_using_subcommand close" -l all -d 'All grants'
complete -c sknockd -n "__fish_sknockd_using_subcommand close" -s h -l help -d 'Print help'
complete -c sknockd -n "__fish_sknockd_using_subcommand open" -s h -l help -d 'Print help'
