//! A client: with the real program, or with datagrams that can be sent again.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::num::NonZeroU16;
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use sknock::{ClientBuilder, Granted, Identity, ServerCertificate};
use sknock_protocol::v2::tag::{self, TagKey};
use sknock_protocol::v2::{self, ClaimedAddress, KnockRequest};
use sknock_protocol::{ANSWER_LENGTH, Answer, AnswerKey, DEFAULT_KNOCK_PORT, Service};

use crate::wait::{LIMIT, Limit, now, uninterrupted};
use crate::{Authority, Namespace, binaries, reach};

/// A client's name, namespace and authority; it knocks at the server `gate`.
pub struct Client<'w> {
    namespace: &'w Namespace,
    authority: &'w Authority,
    name: &'w str,
    identity: Identity,
    server: ServerCertificate,
}

/// A program that has run.
#[derive(Debug)]
pub struct Ran {
    /// Exit code.
    pub code: i32,
    /// What `--json` printed.
    pub report: Value,
    /// Its standard error.
    pub errors: String,
}

/// A datagram on its way, and the socket where its answer arrives.
#[derive(Debug)]
pub struct Sent {
    socket: UdpSocket,
    id: String,
    answer_key: Arc<AnswerKey>,
}

/// One knock, which can be sent as often as one likes.
#[derive(Debug)]
pub struct Datagram {
    /// The UDP payload.
    pub bytes: [u8; v2::DATAGRAM_LENGTH],
    /// What the server's log calls it.
    pub id: String,
    answer_key: Arc<AnswerKey>,
}

impl<'w> Client<'w> {
    /// `alice`, in `namespace`.
    pub fn alice(namespace: &'w Namespace, authority: &'w Authority) -> Self {
        Self::named("alice", namespace, authority)
    }

    /// Another client with a certificate of `authority`.
    pub fn named(name: &'w str, namespace: &'w Namespace, authority: &'w Authority) -> Self {
        let (identity, server) = (authority.identity(name), authority.server_certificate("gate"));
        Self { namespace, authority, name, identity, server }
    }

    /// The same place, another key and certificate. Only for datagrams, not for the program.
    #[must_use]
    pub fn posing_as(self, identity: Identity) -> Self {
        Self { identity, ..self }
    }

    /// Knocks on another server than `gate`. Only for datagrams, not for the program.
    #[must_use]
    pub fn knocking_on(self, server: ServerCertificate) -> Self {
        Self { server, ..self }
    }

    /// `sknock WORDS` with this client's files and nothing from the tester's own environment.
    pub fn command(&self, words: &str) -> Command {
        let mut command = Command::new(binaries::path("sknock"));
        let ours = std::env::vars_os().map(|(name, _)| name);
        for name in ours.filter(|name| name.to_string_lossy().starts_with("SKNOCK_")) {
            command.env_remove(name);
        }
        command.env_remove("HOME").env_remove("XDG_CONFIG_HOME");
        command.env("SKNOCK_IDENTITY", self.authority.file(&format!("{}.pfx", self.name)));
        command.env("SKNOCK_SERVER_CERT", self.authority.file("gate.cer"));
        command.env("SKNOCK_PASSWORD_FILE", self.authority.password_file());
        command.args(words.split_whitespace()).stdin(Stdio::null());
        command
    }

    /// Runs `sknock knock --json WORDS`.
    #[track_caller]
    pub fn knock(&self, words: &str) -> Ran {
        let mut command = self.command(&format!("knock --json {words}"));
        let output = self.namespace.inside(|| command.output()).expect("it was just built");
        let Output { status, stdout, stderr } = output;
        let errors = String::from_utf8_lossy(&stderr).into_owned();
        let report = serde_json::from_slice(&stdout).unwrap_or_else(|error| {
            panic!("{words}: {error}: {}\n{errors}", String::from_utf8_lossy(&stdout))
        });
        Ran { code: status.code().expect("no signal"), report, errors }
    }

    /// Runs `sknock knock --json HOST WORDS`, which must open. On a busy machine the connection may be there before
    /// the answer; v1 has none.
    #[track_caller]
    pub fn open(&self, host: IpAddr, words: &str) -> Ran {
        let ran = self.knock(&format!("{host} {words}"));
        let opened = ["open", "reachable"].iter().any(|result| ran.report["result"] == **result);
        assert!(ran.code == 0 && opened, "{ran:?}");
        ran
    }

    /// Requests a service by one knock, and waits for the answer however long it takes.
    #[track_caller]
    pub fn answered(
        &self,
        host: IpAddr,
        service: &str,
        edit: impl FnOnce(ClientBuilder) -> ClientBuilder,
    ) -> Granted {
        let services = [service.parse().expect("a service")];
        let client = edit(self.library()).attempts(1);
        let client = client.attempt_timeout(LIMIT).timeout(2 * LIMIT).build();
        let opened = self.namespace.inside(|| client.knock(&host.to_string(), &services));
        opened.expect("a grant").granted.expect("an answer")
    }

    /// The client library, with this client's files.
    pub fn library(&self) -> sknock::ClientBuilder {
        let identity = self.authority.identity(self.name);
        sknock::Client::builder(identity, self.authority.server_certificate("gate"))
    }

    /// Makes a knock that claims its packet's source, wants an answer, and can be sent at any time. It has a low tag,
    /// as in a client's last attempt: for an hour the server reads it, whatever the clocks say.
    #[track_caller]
    pub fn seal(&self, services: &[&str]) -> Datagram {
        self.seal_with(services, |_| ())
    }

    /// The same, altered by `edit`.
    #[track_caller]
    pub fn seal_with(&self, services: &[&str], edit: impl FnOnce(&mut KnockRequest)) -> Datagram {
        let services: Result<Vec<Service>, _> = services.iter().map(|text| text.parse()).collect();
        let mut wish = KnockRequest {
            stamp: now(),
            lifetime: None,
            single_use: false,
            answer: true,
            address: ClaimedAddress::Source,
            second: None,
            services: services.expect("services"),
        };
        edit(&mut wish);
        let sealed = v2::seal_low(&self.identity, &self.server, &wish).expect("it fits");
        let v2::Sealed { datagram, id, answer_key } = sealed;
        Datagram { bytes: datagram, id: id.to_string(), answer_key: Arc::new(answer_key) }
    }

    /// The same bytes with a tag that this client's server accepts for an hour: they reach the check of the veil.
    #[must_use]
    pub fn tagged(&self, mut bytes: [u8; v2::DATAGRAM_LENGTH]) -> [u8; v2::DATAGRAM_LENGTH] {
        let key = TagKey::new(self.server.sid()).expect("memory");
        let tag = key.tag(tag::epoch(now()), 0);
        bytes[..tag.len()].copy_from_slice(&tag);
        bytes
    }

    /// Makes a knock that opens for `seconds`.
    #[track_caller]
    pub fn seal_for(&self, services: &[&str], seconds: u16) -> Datagram {
        self.seal_with(services, |wish| wish.lifetime = NonZeroU16::new(seconds))
    }
}

impl Datagram {
    /// Sends it, from a socket of its own.
    #[track_caller]
    pub fn send(&self, from: &Namespace, to: IpAddr) -> Sent {
        self.send_to(from, SocketAddr::new(to, DEFAULT_KNOCK_PORT))
    }

    /// The same to another port.
    #[track_caller]
    pub fn send_to(&self, from: &Namespace, to: SocketAddr) -> Sent {
        let socket = reach::udp_socket(from, to).expect("a route to the server");
        let sent = socket.send(&self.bytes).expect("a route to the server");
        assert_eq!(sent, self.bytes.len());
        Sent { socket, id: self.id.clone(), answer_key: Arc::clone(&self.answer_key) }
    }
}

impl Sent {
    /// What the server's log calls it.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Where it came from, as the server's log has it.
    pub fn source(&self) -> SocketAddr {
        self.socket.local_addr().expect("it is bound")
    }

    /// The socket of the knock: later datagrams have the knock's own source and destination.
    pub fn socket(&self) -> &UdpSocket {
        &self.socket
    }

    /// The server's answer, if there is one in `timeout`.
    pub fn answer(&self, patience: Duration) -> Option<Answer> {
        let limit = Limit::new(patience);
        let mut heard = [0; ANSWER_LENGTH + 1];
        while !limit.is_over() {
            let wait = limit.left().max(Duration::from_millis(1));
            self.socket.set_read_timeout(Some(wait)).expect("not zero");
            // An error is silence, or an ICMP message that means nothing.
            if let Ok(length) = uninterrupted(|| self.socket.recv(&mut heard))
                && let Some(answer) = self.answer_key.open(&heard[..length])
            {
                return Some(answer);
            }
        }
        None
    }

    /// Fails if the server does not grant it.
    #[track_caller]
    pub fn must_be_granted(&self) -> Answer {
        let answer = self.answer(LIMIT);
        answer.unwrap_or_else(|| panic!("no answer to knock {}", self.id))
    }
}
