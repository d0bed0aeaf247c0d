//! The table of keys: the only place with their names, defaults and limits. The parser, its hints and the
//! tests of `config.ini.example` use it.

/// One key of the configuration file.
#[derive(Debug)]
pub struct ConfigKey {
    /// As documented; matched without regard to ASCII case.
    pub name: &'static str,
    /// The form of its value.
    pub kind: ValueKind,
    /// The value if the file does not set it.
    pub default: &'static str,
    /// One line of explanation.
    pub why: &'static str,
}

/// The form of a value.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ValueKind {
    /// A whole number, both bounds included.
    Number {
        /// Minimum.
        min: u64,
        /// Maximum.
        max: u64,
    },
    /// A number with at most one decimal, both bounds included and in tenths.
    Tenths {
        /// Minimum.
        min: u64,
        /// Maximum.
        max: u64,
    },
    /// Protocol versions, separated by commas or white space; v2 must be one of them.
    Dialects,
    /// One of these words.
    Word(&'static [&'static str]),
    /// A path, relative to the configuration file's folder.
    Path,
    /// A path, or empty.
    OptionalPath,
    /// Services, separated by commas or white space; may be none.
    Services,
    /// As [`ValueKind::Services`], or the word `auto`.
    ServicesOrAuto,
    /// UDP ports and ranges of them, separated by commas or white space.
    Ports,
    /// Addresses of http or https, separated by commas or white space; may be none.
    Urls,
    /// A system user.
    User,
    /// A password, taken literally.
    Secret,
    /// A key of the original; accepted without effect.
    Ignored,
}

impl ConfigKey {
    /// The key with this name, ignoring ASCII case.
    pub fn find(name: &str) -> Option<&'static Self> {
        ALL.iter().copied().find(|key| key.name.eq_ignore_ascii_case(name))
    }

    /// Its values in a few words: `1 to 65535`, `none, reject or drop`.
    pub fn values(&self) -> String {
        match self.kind {
            ValueKind::Number { min, max } => format!("{min} to {max}"),
            ValueKind::Tenths { min, max } => format!("{} to {}", tenths(min), tenths(max)),
            ValueKind::Word(words) => match words {
                [all @ .., last] if !all.is_empty() => format!("{} or {last}", all.join(", ")),
                _ => words.concat(),
            },
            ValueKind::Dialects => "v2, or v2, v1".into(),
            ValueKind::Path => "path".into(),
            ValueKind::OptionalPath => "path or empty".into(),
            ValueKind::Services => "like tcp/22, udp/5000-5010, or empty".into(),
            ValueKind::ServicesOrAuto => "auto, or like tcp/22, udp/5000-5010, or empty".into(),
            ValueKind::Ports => "1 to 65535, one or several, like 10000-60000, 62344".into(),
            ValueKind::Urls => "http or https, one or several, or empty".into(),
            ValueKind::User => "name of a user, not root".into(),
            ValueKind::Secret => "text or empty".into(),
            ValueKind::Ignored => "without effect".into(),
        }
    }
}

fn tenths(number: u64) -> String {
    match number % 10 {
        0 => (number / 10).to_string(),
        tenth => format!("{}.{tenth}", number / 10),
    }
}

macro_rules! keys {
    ($($constant:ident = $name:literal, $kind:expr, $default:literal, $why:literal;)*) => {
        $(pub(super) const $constant: ConfigKey =
            ConfigKey { name: $name, kind: $kind, default: $default, why: $why };)*
        /// Every key, in the order of `config.ini.example`.
        pub const ALL: &[&ConfigKey] = &[$(&$constant),*];
    };
}

const ALLOW_OR_DENY: ValueKind = ValueKind::Word(&["allow", "deny"]);

const fn number(min: u64, max: u64) -> ValueKind {
    ValueKind::Number { min, max }
}

keys! {
    // identity and trusted CAs
    SERVER_PFX_FILE = "serverPFXFile", ValueKind::Path, "certificates/devserver.pfx",
        "key and certificate of the server, with the CA certificates that it trusts, as PKCS#12.\n\
         The default is that of sKnock 1.0; sknock-ca writes NAME.pfx";
    PFX_PASSWD = "PFXPasswd", ValueKind::Secret, "",
        "password of serverPFXFile, used literally.\n\
         PFXPasswdFile or the systemd credential sknock-pfx-password keep it out of this file";
    PFX_PASSWD_FILE = "PFXPasswdFile", ValueKind::OptionalPath, "",
        "file with the password of serverPFXFile and nothing else, instead of PFXPasswd";
    CA_FILE = "caFile", ValueKind::OptionalPath, "",
        "additional CA certificates: roots and intermediates, as PEM.\n\
         Each root can issue certificates for all services that allowedServices permits";

    // revocation
    CRL_FILE = "crlFile", ValueKind::OptionalPath, "",
        "CRL file, DER; sknockd reads it and never writes it.\n\
         Without crlFile and crlUrl no certificate can be revoked";
    CRL_URL = "crlUrl", ValueKind::Urls, "",
        "URLs of CRLs; fetched without a proxy and saved in stateDir.\n\
         Of the saved CRL and crlFile the newer one is used";
    CRL_UPDATE_INTERVAL = "CRL_UPDATE_INTERVAL_IN_MINUTES",
        ValueKind::Tenths { min: 1, max: 100_800 }, "30",
        "fetch interval in minutes, varied by up to 10 %.\n\
         A published revocation takes effect within this time plus 10 %, if the fetch succeeds";
    CRL_STALE_GRACE = "CRL_STALE_GRACE_IN_HOURS", number(0, 8_760), "168",
        "grace period in hours: how long an expired CRL (after nextUpdate) is still accepted.\n\
         Afterwards all knocks with certificates of that CA are refused";
    CRL_TLS_CA_FILE = "crlTlsCaFile", ValueKind::OptionalPath, "",
        "CA certificates for an https crlUrl, as PEM; no others are trusted for it.\n\
         Empty: the CA store of the system";
    ON_REVOKE = "onRevoke", ValueKind::Word(&["cut", "close"]), "cut",
        "connections of a revoked certificate: cut = they are terminated; close = they continue.\n\
         New connections are blocked in both cases";

    // protected ports
    FIREWALL_POLICY = "firewallPolicy", ValueKind::Word(&["none", "reject", "drop"]), "reject",
        "how packets without a grant are treated: reject = like a closed port; drop = no answer;\n\
         none = nothing is protected";
    PROTECTED_PORTS = "protectedPorts", ValueKind::Services, "",
        "ports to protect; setting them is recommended.\n\
         Empty = deny-all mode: firewallPolicy applies to ALL traffic except alwaysOpenPorts";
    ALWAYS_OPEN_PORTS = "alwaysOpenPorts", ValueKind::ServicesOrAuto, "auto",
        "ports that are reachable without a grant.\n\
         auto = tcp/22 in deny-all mode, otherwise none";
    ON_EXIT = "onExit", ValueKind::Word(&["closed", "open"]), "closed",
        "rules after a normal stop of the server: closed = they stay; open = they are removed,\n\
         and all ports are reachable";

    // grants
    ALLOWED_SERVICES = "allowedServices", ValueKind::Services, "",
        "services that grants may be for, whatever certificates allow; empty = no further limit.\n\
         This also limits what a compromised network process can open";
    // 65,535: the lifetime in a knock has 16 bits.
    PORT_OPEN_DURATION = "PORT_OPEN_DURATION_IN_SECONDS", number(1, 65_535), "15",
        "default duration of a grant, in seconds: how long a client can open new connections.\n\
         Existing connections continue afterwards";
    MAX_PORT_OPEN_DURATION = "MAX_PORT_OPEN_DURATION_IN_SECONDS", number(1, 65_535), "3600",
        "longest duration of a grant that a client may request, in seconds";
    MAX_GRANTS = "maxGrants", number(1, 1_000_000), "100000",
        "maximum number of active grants, one for each address and port; 0.5 kB of memory each.\n\
         When it is reached, further knocks are refused. A restart lists all of them";
    MAX_GRANTS_PER_SECOND = "maxGrantsPerSecond", number(1, 100_000), "1000",
        "maximum number of new grants per second; further knocks are refused.\n\
         It also limits the log lines of the network process";
    SHARE_OF_CERTIFICATE = "shareOfCertificate", number(1, 100), "20",
        "maximum share of maxGrants, maxGrantsPerSecond and replayCapacity for one certificate, in percent.\n\
         100 = one certificate may use all of it";
    SHARE_OF_NETWORK = "shareOfNetwork", number(1, 100), "50",
        "the same for one IPv4 address or IPv6 /64, in percent.\n\
         Many users may share one address (NAT): too low a value refuses their knocks";

    // knock reception
    KNOCK_PORT = "knockPort", ValueKind::Ports, "62344",
        "UDP ports to which clients send knocks; do not run services on them.\n\
         Several ports or a range need intake = nflog";
    PROTOCOLS = "protocols", ValueKind::Dialects, "v2",
        "accepted protocol versions; v1 is that of sKnock 1.0.\n\
         v1 is weaker: read docs/THREATS.md before you accept it";
    INTAKE = "intake", ValueKind::Word(&["nflog", "socket"]), "nflog",
        "how knocks are received: nflog = the kernel copies them, and no port is bound;\n\
         socket = a bound UDP port, which a scanner can detect";
    // The kernel has 16 bits for a group (nfgenmsg.res_id).
    NFLOG_GROUP = "nflogGroup", number(0, 65_535), "5344",
        "NFLOG group of the copies (intake = nflog). No other program may use it";
    KNOCKS_PER_SOURCE = "knocksPerSource", number(0, 1_000_000), "1000",
        "maximum number of datagrams per second that are evaluated, for each IPv4 address or IPv6 /64.\n\
         The burst is five times that. 0 = no limit, and a flood costs CPU time";
    TIMESTAMP_THRESHOLD = "TIMESTAMP_THRESHOLD_IN_SECONDS", number(1, 3_600), "7",
        "timestamp window: permitted difference between the clocks of client and server, in seconds";
    SOURCE_ADDRESS = "sourceAddress", ALLOW_OR_DENY, "allow",
        "knocks without a signed client address, as clients behind NAT send them: the packet source gets the grant.\n\
         An attacker on the network path can redirect such a grant: see docs/THREATS.md";
    SECOND_ADDRESS = "secondAddress", ALLOW_OR_DENY, "deny",
        "knocks that also request a grant for a second, signed address of the other IP family.\n\
         The server cannot verify that this address belongs to the client";
    REPLAY_CAPACITY = "replayCapacity", number(1_000, 10_000_000), "1000000",
        "maximum number of knocks in the replay journal; about 140 bytes of memory and 160 bytes of disk each.\n\
         When it is full, knocks are refused";
    KNOCKPACKET_MIN_LENGTH = "KNOCKPACKET_MIN_LENGTH", number(0, 65_507), "800",
        "shortest accepted knock of protocol v1, in bytes of the Ethernet frame";
    V1_ANY_USAGE = "v1AnyUsage", ValueKind::Word(&["yes", "no"]), "no",
        "yes = protocol v1 also accepts certificates that are not for client authentication,\n\
         if they contain services";

    // process and log
    USER = "user", ValueKind::User, "sknock",
        "user of the network process; it should own nothing except stateDir.\n\
         No effect under a systemd unit with User=";
    STATE_DIR = "stateDir", ValueKind::Path, "/var/lib/sknock",
        "directory of the replay journal and the saved CRLs; use it for nothing else.\n\
         Never restore it from a backup: knocks that were used since could be replayed";
    WORKERS = "workers", number(0, 64), "0",
        "number of threads that verify knocks; 0 = one per CPU core";
    LOG_FORMAT = "logFormat", ValueKind::Word(&["text", "json"]), "text",
        "log format on standard error: text for people, json for programs";

    // keys of sKnock 1.0 without effect
    SIGNATURE_SIZE = "SIGNATURE_SIZE", ValueKind::Ignored, "",
        "signatures contain their own size";
    RECV_BUFFER = "RECV_BUFFER", ValueKind::Ignored, "",
        "the protocol fixes the length of a knock";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_differ_in_more_than_case() {
        for (index, key) in ALL.iter().enumerate() {
            let first = ALL.iter().position(|other| other.name.eq_ignore_ascii_case(key.name));
            assert_eq!(first, Some(index), "{}", key.name);
        }
    }

    #[test]
    fn the_default_port_is_the_protocols() {
        assert_eq!(KNOCK_PORT.default, sknock_protocol::DEFAULT_KNOCK_PORT.to_string());
    }
}
