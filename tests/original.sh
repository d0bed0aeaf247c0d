#!/usr/bin/env bash
# What an administrator of the original sKnock has: original.sh FOLDER. An authority by openssl with the
# original's folders, sections and names, the server `devserver`, the client `alice`, and the server's
# folder as it was shipped: a file without a line end, and the list of another authority.
set -euo pipefail
mkdir -p "$1" && cd "$1"
mkdir -p configs certs/{client,server} private/{client,server} csrs/{client,server} server/certificates
touch index.txt index.txt.attr
echo 01 >serial && echo 00 >crl_serial

common() {
	printf '%s\n' '[ ca ]' 'default_ca = sknock' '[ sknock ]' 'dir = .' "certificate = \$dir/certs/$1" \
		"private_key = \$dir/private/$2" 'database = $dir/index.txt' 'new_certs_dir = $dir/certs' \
		'serial = $dir/serial' 'default_md = sha256' 'default_days = 3650' 'default_crl_days = 90' \
		'policy = policy_any' 'copy_extensions = none'
}
requests() {
	printf '%s\n' '[ policy_any ]' 'countryName = supplied' 'stateOrProvinceName = optional' \
		'organizationName = optional' 'commonName = supplied' '[ req ]' 'x509_extensions = ca_req' \
		'distinguished_name = names' '[ names ]' 'commonName = Common Name' '[ ca_req ]' \
		'basicConstraints = CA:TRUE' 'subjectKeyIdentifier = hash' \
		'authorityKeyIdentifier = keyid:always,issuer:always' \
		'keyUsage = digitalSignature,keyCertSign,cRLSign'
}
leaf() {
	printf '%s\n' "[ $1_extensions ]" 'basicConstraints = CA:FALSE' "keyUsage = $2" \
		"extendedKeyUsage = $1Auth" 'subjectKeyIdentifier = hash' \
		'authorityKeyIdentifier = keyid:always,issuer:always'
}

{
	common ca.pem ca.key && requests && leaf server keyAgreement && leaf client digitalSignature,keyAgreement
	printf '%s\n' 'subjectAltName = @altNames' '[ altNames ]' \
		'otherName.1 = 1.3.6.1.4.1.19518;UTF8:1.2000,1.3000,0.8000'
} >configs/client_config
{
	common ca.crt ca
	printf '%s\n' 'crl_extensions = crl_exts' 'crlnumber = crl_serial' && requests
	printf '%s\n' '[crl_exts]' 'authorityKeyIdentifier=keyid,issuer:always' \
		'issuingDistributionPoint=@idp_section' '[idp_section]' \
		'fullname=URI:http://www.example.org/devca.crl' 'onlysomereasons=superseded,cessationOfOperation'
} >configs/ca_config

key() { openssl ecparam -genkey -name prime256v1 -param_enc named_curve -out "$1"; }
names='/C=DE/ST=Bayern/O=TUM i8/OU=SafeCloud Project'

authority() {
	key "$2"
	openssl req -config configs/ca_config -x509 -key "$2" -set_serial 0 -subj "$names/CN=$1" -out "$3"
}
issue() {
	local at=$1/$2
	key "private/$at.key"
	openssl req -config configs/client_config -new -key "private/$at.key" -subj "$names/CN=$2" -out "csrs/$at.pem"
	openssl ca -batch -config configs/client_config -in "csrs/$at.pem" -extensions "$1_extensions" -out "certs/$at.pem"
	openssl x509 -in "certs/$at.pem" -outform DER -out "certs/$at.crt"
	openssl pkcs12 -export -out "certs/$at.pfx" -inkey "private/$at.key" -in "certs/$at.pem" \
		-certfile certs/ca.pem -password pass:portknocking
}

authority 'sKnock Test CA' private/ca.key certs/ca.pem
issue server devserver
issue client alice
cp certs/server/devserver.pfx server/certificates/
authority 'Dev CA ECDSA' private/former.key certs/former.pem
openssl ca -config configs/client_config -gencrl -cert certs/former.pem -keyfile private/former.key |
	openssl crl -outform DER -out server/certificates/devca.crl
printf '%s\n' '[DEFAULT]' 'KNOCKPACKET_MIN_LENGTH = 800' 'PORT_OPEN_DURATION_IN_SECONDS = 15' \
	'TIMESTAMP_THRESHOLD_IN_SECONDS = 7' 'SIGNATURE_SIZE = 72' 'RECV_BUFFER = 1600' \
	'crlFile = /tmp/sknock/devca.crl' 'crlUrl = https://www.example.org/devca.crl' \
	'serverPFXFile = certificates/devserver.pfx' 'PFXPasswd = portknocking' >server/config.ini
printf 'firewallPolicy = none' >>server/config.ini
