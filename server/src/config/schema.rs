//! The table of keys: the only place that knows their names, defaults and bounds. The parser, its
//! hints and the tests of `config.ini.example` all read it.

/// One key of the configuration file.
#[derive(Debug)]
pub struct ConfigKey {
    /// As documented; matched without regard to ASCII case.
    pub name: &'static str,
    /// What its value looks like.
    pub kind: ValueKind,
    /// What a file that does not name it means.
    pub default: &'static str,
    /// One line of why.
    pub why: &'static str,
}

/// What a value looks like.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ValueKind {
    /// A whole number, both bounds included.
    Number {
        /// The least.
        min: u64,
        /// The most.
        max: u64,
    },
    /// A number with at most one decimal, both bounds included and in tenths.
    Tenths {
        /// The least.
        min: u64,
        /// The most.
        max: u64,
    },
    /// Dialects, separated by commas or white space; v2 is one of them.
    Dialects,
    /// One of these words.
    Word(&'static [&'static str]),
    /// A path; a relative one starts at the configuration file's folder.
    Path,
    /// A path, or nothing.
    OptionalPath,
    /// Services, separated by commas or white space; may be none.
    Services,
    /// As [`ValueKind::Services`], or the word `auto`.
    ServicesOrAuto,
    /// UDP ports and ranges of them, separated by commas or white space.
    Ports,
    /// Addresses of http or https, separated by commas or white space; may be none.
    Urls,
    /// A user of the system.
    User,
    /// A password, taken as it stands.
    Secret,
    /// The original's; accepted, and without effect here.
    Ignored,
}

impl ConfigKey {
    /// The key of this name, in upper, lower or mixed case.
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
    // who we are
    SERVER_PFX_FILE = "serverPFXFile", ValueKind::Path, "certificates/devserver.pfx",
        "the server's key and certificate and the authorities it trusts, as PKCS#12";
    PFX_PASSWD = "PFXPasswd", ValueKind::Secret, "",
        "password of serverPFXFile; a file or systemd credential keeps it out of here";
    PFX_PASSWD_FILE = "PFXPasswdFile", ValueKind::OptionalPath, "",
        "file that holds the password of serverPFXFile, instead of PFXPasswd";
    CA_FILE = "caFile", ValueKind::OptionalPath, "",
        "more authorities to trust, and intermediates, as PEM";

    // who is no longer welcome
    CRL_FILE = "crlFile", ValueKind::OptionalPath, "",
        "revocation list as DER, only read; without it and crlUrl nobody is ever revoked";
    CRL_URL = "crlUrl", ValueKind::Urls, "",
        "where to fetch it, without any proxy; saved in stateDir, and the newer of that and crlFile counts";
    CRL_UPDATE_INTERVAL = "CRL_UPDATE_INTERVAL_IN_MINUTES",
        ValueKind::Tenths { min: 1, max: 100_800 }, "30",
        "how often to fetch it, in minutes: how long a revoked certificate may still open doors";
    CRL_STALE_GRACE = "CRL_STALE_GRACE_IN_HOURS", number(0, 8_760), "168",
        "how long a list still counts after its nextUpdate, in hours; then all are refused";
    CRL_TLS_CA_FILE = "crlTlsCaFile", ValueKind::OptionalPath, "",
        "the only authorities to trust for an https crlUrl, as PEM; empty = the system's";
    ON_REVOKE = "onRevoke", ValueKind::Word(&["cut", "close"]), "cut",
        "connections of a certificate that is revoked: cut = they end, close = only no new ones begin";

    // what is hidden
    FIREWALL_POLICY = "firewallPolicy", ValueKind::Word(&["none", "reject", "drop"]), "reject",
        "what becomes of packets that nobody knocked for";
    PROTECTED_PORTS = "protectedPorts", ValueKind::Services, "",
        "hide only these; recommended; empty = ALL traffic is subject to firewallPolicy";
    ALWAYS_OPEN_PORTS = "alwaysOpenPorts", ValueKind::ServicesOrAuto, "auto",
        "open to everybody; auto = tcp/22 if all traffic is denied, else nothing";
    ON_EXIT = "onExit", ValueKind::Word(&["closed", "open"]), "closed",
        "what a stopped server leaves behind: protection, or an open host";

    // what a knock may get
    ALLOWED_SERVICES = "allowedServices", ValueKind::Services, "",
        "the most that certificates can get; empty = what each of them allows";
    PORT_OPEN_DURATION = "PORT_OPEN_DURATION_IN_SECONDS", number(1, 65_535), "15",
        "how long a port stays open for new connections, in seconds";
    MAX_PORT_OPEN_DURATION = "MAX_PORT_OPEN_DURATION_IN_SECONDS", number(1, 65_535), "3600",
        "the longest that a client may ask for, in seconds";
    MAX_GRANTS = "maxGrants", number(1, 1_000_000), "100000",
        "openings at one time, one for each address and port, 0.5 kB each; a restart lists them all";
    MAX_GRANTS_PER_SECOND = "maxGrantsPerSecond", number(1, 100_000), "1000",
        "new openings per second";
    SHARE_OF_CERTIFICATE = "shareOfCertificate", number(1, 100), "20",
        "most of maxGrants, maxGrantsPerSecond and replayCapacity for one certificate, in percent; 100 = all";
    SHARE_OF_NETWORK = "shareOfNetwork", number(1, 100), "50",
        "most of the same for one IPv4 address or IPv6 /64, in percent; many people may be behind one";

    // which knocks are heard
    KNOCK_PORT = "knockPort", ValueKind::Ports, "62344",
        "UDP ports that knocks arrive at, better without services; several only with intake = nflog";
    PROTOCOLS = "protocols", ValueKind::Dialects, "v2",
        "dialects to understand; v1 is the original's, and weaker";
    INTAKE = "intake", ValueKind::Word(&["nflog", "socket"]), "nflog",
        "nflog = the kernel copies knocks and nothing is bound; socket = a bound port, which can be seen";
    NFLOG_GROUP = "nflogGroup", number(0, 65_535), "5344",
        "number by which the kernel knows whom to give the copies; no other program may use it";
    KNOCKS_PER_SOURCE = "knocksPerSource", number(0, 1_000_000), "1000",
        "datagrams per second that count, of one address or IPv6 /64, five times as many at once; 0 = all";
    TIMESTAMP_THRESHOLD = "TIMESTAMP_THRESHOLD_IN_SECONDS", number(1, 3_600), "7",
        "how far a client's clock may be off, in seconds";
    SOURCE_ADDRESS = "sourceAddress", ALLOW_OR_DENY, "allow",
        "knocks that leave their address to the network, as behind NAT; THREATS.md weighs it";
    SECOND_ADDRESS = "secondAddress", ALLOW_OR_DENY, "deny",
        "knocks that also open for a signed address of the other IP family";
    REPLAY_CAPACITY = "replayCapacity", number(1_000, 10_000_000), "1000000",
        "knocks remembered at one time, about 200 bytes of memory and 160 of disk each; full = refuse";
    KNOCKPACKET_MIN_LENGTH = "KNOCKPACKET_MIN_LENGTH", number(0, 65_507), "800",
        "shortest knock of protocol v1, in bytes of its whole Ethernet frame";
    V1_ANY_USAGE = "v1AnyUsage", ValueKind::Word(&["yes", "no"]), "no",
        "yes = v1 knocks with certificates that are not for client authentication count too";

    // how the server runs
    USER = "user", ValueKind::User, "sknock",
        "whom the network process runs as; a unit with a user of its own decides itself";
    STATE_DIR = "stateDir", ValueKind::Path, "/var/lib/sknock",
        "where knocks are remembered across restarts";
    WORKERS = "workers", number(0, 64), "0",
        "threads that judge knocks; 0 = one per core";
    LOG_FORMAT = "logFormat", ValueKind::Word(&["text", "json"]), "text",
        "log for people or for programs";

    // the original's, of no use here
    SIGNATURE_SIZE = "SIGNATURE_SIZE", ValueKind::Ignored, "",
        "signatures state their own size";
    RECV_BUFFER = "RECV_BUFFER", ValueKind::Ignored, "",
        "the length of a knock is fixed by its protocol";
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
