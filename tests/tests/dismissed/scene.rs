//! A pipeline with a real authority, and what somebody with the server's certificate can make of a knock.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use aws_lc_rs::aead::{AES_128_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::hmac;
use sknock_protocol::v2::{ClaimedAddress, DATAGRAM_LENGTH, KnockRequest, seal_low};
use sknock_protocol::{
    Bundle, Datagram, Identity, KnockRules, Revocation, RevocationLists, ServerCertificate,
    ServerKey, Timestamp, TrustStore, Verifier,
};
use sknock_server::knock::in_force::InForce;
use sknock_server::knock::pipeline::{Pipeline, Refused};
use sknock_server::knock::policy::{Grant, Policy};
use sknock_server::knock::refused_knocks::RefusedKnocks;
use sknock_server::knock::replay::Memory;
use sknock_tests::Authority;
use sknock_tests::PASSWORD;
use sknock_tests::wait::now;

pub(crate) const WINDOW: Duration = Duration::from_secs(7);
pub(crate) const HOME: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7)), 4000);

/// A moment of this test at the beginning of a second, so that the next half second is in the same.
pub(crate) fn noon() -> Timestamp {
    static NOON: OnceLock<Timestamp> = OnceLock::new();
    *NOON.get_or_init(|| Timestamp::from_secs(now().as_secs() + 60))
}

/// Asks for SSH, from home, now.
pub(crate) fn wish() -> KnockRequest {
    KnockRequest {
        stamp: noon(),
        lifetime: None,
        single_use: false,
        answer: true,
        address: ClaimedAddress::Ip(HOME.ip()),
        second: None,
        services: vec!["tcp/22".parse().unwrap()],
    }
}

pub(crate) struct Scene {
    pub(crate) pipeline: Pipeline<Memory>,
    alice: Identity,
    server: ServerCertificate,
}

impl Scene {
    pub(crate) fn new() -> Self {
        Self::with_capacity(1000)
    }

    pub(crate) fn with_capacity(capacity: usize) -> Self {
        let authority = Authority::new();
        let bundle = fs::read(authority.file("gate.pfx")).unwrap();
        let bundle = Bundle::open(&bundle, PASSWORD).unwrap();
        let key = ServerKey::from_bundle(&bundle).unwrap();
        let anchors = TrustStore::new(bundle.authorities(), 16).unwrap();
        let rules = KnockRules { window: WINDOW, unsigned_address: false, second_address: false };
        let pipeline = Pipeline {
            verifier: Arc::new(Verifier::new(key, anchors, rules)),
            revocation: Arc::new(InForce::new(Revocation::NotConfigured)),
            replay: Memory::new(WINDOW, capacity),
            policy: Policy::new(None, WINDOW, WINDOW),
            refused_knocks: RefusedKnocks::default(),
        };
        let (alice, server) = (authority.identity("alice"), authority.server_certificate("gate"));
        Self { pipeline, alice, server }
    }

    /// Has forgotten every knock that it has admitted.
    pub(crate) fn with_an_empty_memory(mut self) -> Self {
        self.pipeline.replay = Memory::new(WINDOW, 1000);
        self
    }

    /// Whether revocation lists are asked for, of which there is none.
    pub(crate) fn handle(&self, datagram: Datagram<'_>, now: Timestamp) -> Result<Grant, Refused> {
        self.pipeline.decide(self.pipeline.unveil(datagram, now)?, now)
    }

    pub(crate) fn list(&self, needed: bool) {
        let none = RevocationLists::new(Duration::from_secs(3600));
        let lists = if needed { Revocation::Lists(none) } else { Revocation::NotConfigured };
        self.pipeline.revocation.replace(lists);
    }

    pub(crate) fn seal(&self, wish: &KnockRequest) -> [u8; DATAGRAM_LENGTH] {
        seal_low(&self.alice, &self.server, wish).unwrap().datagram
    }

    /// The same one-time key, and another ciphertext: all that somebody on the path can do with it.
    pub(crate) fn with_other_ciphertext(
        &self,
        packet: &[u8; DATAGRAM_LENGTH],
    ) -> [u8; DATAGRAM_LENGTH] {
        self.covered_again(packet, |frame| frame[500] ^= 1)
    }

    /// The same knock under another veil.
    pub(crate) fn under_another_nonce(
        &self,
        packet: &[u8; DATAGRAM_LENGTH],
    ) -> [u8; DATAGRAM_LENGTH] {
        self.covered_again(packet, |_| ())
    }

    /// As PROTOCOL describes the veil: its key follows from the server's certificate.
    fn covered_again(
        &self,
        packet: &[u8; DATAGRAM_LENGTH],
        edit: impl FnOnce(&mut [u8]),
    ) -> [u8; DATAGRAM_LENGTH] {
        let sid = *self.server.sid();
        let hmac =
            |key: &[u8], data: &[u8]| hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), data);
        let key = hmac(hmac(&[0; 32], &sid).as_ref(), b"sknock v2 veil\x01");
        let key = LessSafeKey::new(UnboundKey::new(&AES_128_GCM, &key.as_ref()[..16]).unwrap());
        let nonce = |bytes: [u8; NONCE_LEN]| Nonce::assume_unique_for_key(bytes);
        let (old, covered) = packet.split_first_chunk::<NONCE_LEN>().unwrap();
        let mut frame = covered.to_vec();
        let length = key.open_in_place(nonce(*old), Aad::empty(), &mut frame).unwrap().len();
        frame.truncate(length);
        edit(&mut frame);
        let mut new = old.map(|byte| !byte);
        new[..4].copy_from_slice(&old[..4]); // the tag
        key.seal_in_place_append_tag(nonce(new), Aad::empty(), &mut frame).unwrap();
        [new.to_vec(), frame].concat().try_into().unwrap()
    }
}
