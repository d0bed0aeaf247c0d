# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_sknock_ca_global_optspecs
    string join \n dir= json password-file= h/help
end

function __fish_sknock_ca_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_sknock_ca_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_sknock_ca_using_subcommand
    set -l cmd (__fish_sknock_ca_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c sknock-ca -n "__fish_sknock_ca_needs_command" -l dir -d 'Directory of the CA' -r -F
complete -c sknock-ca -n "__fish_sknock_ca_needs_command" -l password-file -d 'Same as --password-file of server and client' -r -F
complete -c sknock-ca -n "__fish_sknock_ca_needs_command" -l json -d 'Print the result as JSON'
complete -c sknock-ca -n "__fish_sknock_ca_needs_command" -s h -l help -d 'Print help'
complete -c sknock-ca -n "__fish_sknock_ca_needs_command" -f -a "init" -d 'Create a CA: ca.key, ca.cer, ca.pem and an empty crl.der'
complete -c sknock-ca -n "__fish_sknock_ca_needs_command" -f -a "server" -d 'Issue key and certificate of a server: NAME.pfx for the server, NAME.cer for its clients'
complete -c sknock-ca -n "__fish_sknock_ca_needs_command" -f -a "client" -d 'Issue key and certificate of a client: NAME.pfx'
complete -c sknock-ca -n "__fish_sknock_ca_needs_command" -f -a "revoke" -d 'Revoke a certificate, and write a new crl.der'
complete -c sknock-ca -n "__fish_sknock_ca_needs_command" -f -a "crl" -d 'Write a new CRL, crl.der'
complete -c sknock-ca -n "__fish_sknock_ca_needs_command" -f -a "list" -d 'List all certificates ever issued'
complete -c sknock-ca -n "__fish_sknock_ca_using_subcommand init" -l name -d 'Common name of the CA [default: generated]' -r
complete -c sknock-ca -n "__fish_sknock_ca_using_subcommand init" -l days -d 'Validity of its certificate in days' -r
complete -c sknock-ca -n "__fish_sknock_ca_using_subcommand init" -l dir -d 'Directory of the CA' -r -F
complete -c sknock-ca -n "__fish_sknock_ca_using_subcommand init" -l json -d 'Print the result as JSON'
complete -c sknock-ca -n "__fish_sknock_ca_using_subcommand init" -s h -l help -d 'Print help'
complete -c sknock-ca -n "__fish_sknock_ca_using_subcommand server" -l days -d 'Validity in days, at most until the CA certificate expires [default: 3650]' -r
complete -c sknock-ca -n "__fish_sknock_ca_using_subcommand server" -l password-file -d 'File with the password for the new .pfx and nothing else [default: `SKNOCK_PFX_PASSWORD` in the environment, otherwise a prompt]' -r -F
complete -c sknock-ca -n "__fish_sknock_ca_using_subcommand server" -l dir -d 'Directory of the CA' -r -F
complete -c sknock-ca -n "__fish_sknock_ca_using_subcommand server" -l json -d 'Print the result as JSON'
complete -c sknock-ca -n "__fish_sknock_ca_using_subcommand server" -s h -l help -d 'Print help'
complete -c sknock-ca -n "__fish_sknock_ca_using_subcommand client" -l allow -d 'Service that it may request, such as tcp/22 or udp/60000-60010; may be repeated' -r
complete -c sknock-ca -n "__fish_sknock_ca_using_subcommand client" -l days -d 'Validity in days, at most until the CA certificate expires [default: 365]' -r
complete -c sknock-ca -n "__fish_sknock_ca_using_subcommand client" -l password-file -d 'File with the password for the new .pfx and nothing else [default: `SKNOCK_PFX_PASSWORD` in the environment, otherwise a prompt]' -r -F
complete -c sknock-ca -n "__fish_sknock_ca_using_subcommand client" -l dir -d 'Directory of the CA' -r -F
complete -c sknock-ca -n "__fish_sknock_ca_using_subcommand client" -l json -d 'Print the result as JSON'
complete -c sknock-ca -n "__fish_sknock_ca_using_subcommand client" -s h -l help -d 'Print help'
complete -c sknock-ca -n "__fish_sknock_ca_using_subcommand revoke" -l reason -d 'Reason in the CRL; servers treat all reasons alike' -r -f -a "unspecified\t'No reason given'
key-compromise\t'Another person may have the key'
affiliation-changed\t'Name or role of the holder have changed'
superseded\t'Another certificate replaces it'
cessation-of-operation\t'No longer needed'
privilege-withdrawn\t'The holder may no longer use the services'"
complete -c sknock-ca -n "__fish_sknock_ca_using_subcommand revoke" -l dir -d 'Directory of the CA' -r -F
complete -c sknock-ca -n "__fish_sknock_ca_using_subcommand revoke" -l json -d 'Print the result as JSON'
complete -c sknock-ca -n "__fish_sknock_ca_using_subcommand revoke" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c sknock-ca -n "__fish_sknock_ca_using_subcommand crl" -l days -d 'Validity of the CRL in days [default: as for the previous CRL; 30 for the first]' -r
complete -c sknock-ca -n "__fish_sknock_ca_using_subcommand crl" -l dir -d 'Directory of the CA' -r -F
complete -c sknock-ca -n "__fish_sknock_ca_using_subcommand crl" -l clock-was-ahead -d 'The previous CRL was issued while the clock was ahead, and the clock is correct now: issue a CRL with the current time. Servers that accepted the previous CRL must delete their high-water mark first (see OPERATIONS)'
complete -c sknock-ca -n "__fish_sknock_ca_using_subcommand crl" -l json -d 'Print the result as JSON'
complete -c sknock-ca -n "__fish_sknock_ca_using_subcommand crl" -s h -l help -d 'Print help'
complete -c sknock-ca -n "__fish_sknock_ca_using_subcommand list" -l dir -d 'Directory of the CA' -r -F
complete -c sknock-ca -n "__fish_sknock_ca_using_subcommand list" -l json -d 'Print the result as JSON'
complete -c sknock-ca -n "__fish_sknock_ca_using_subcommand list" -s h -l help -d 'Print help'
