//! The server that a vector asks for, set up from `vectors/v2/pki`.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use sknock_protocol::{
    Datagram, KnockRules, PrivateKey, Refusal, Revocation, RevocationList, RevocationLists,
    ServerKey, Service, Timestamp, TrustStore, VerifiedKnock, Verifier,
};
use sknock_server::knock::in_force::InForce;
use sknock_server::knock::pipeline::Pipeline;
use sknock_server::knock::policy;
use sknock_server::knock::policy::Policy;
use sknock_server::knock::refused_knocks::RefusedKnocks;
use sknock_server::knock::replay::{Memory, admit};
use zeroize::Zeroizing;

use crate::case::{self, Case, Choice, Grant, Hex, Received};

/// A server that has not seen any knock.
pub(crate) struct Scene(Pipeline<Memory>);

/// What became of a knock.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// Proven; there is no policy to ask.
    Proven,
    /// Leave to open.
    Granted(Grant),
    /// Nothing.
    Refused(Refusal),
}

impl Scene {
    pub(crate) fn new(case: &Case) -> Self {
        let window = Duration::from_millis(case.rules.window_ms);
        let rules = KnockRules {
            window,
            unsigned_address: case.rules.source_address == Choice::Allow,
            second_address: case.rules.second_address == Choice::Allow,
        };
        let authorities: Vec<Vec<u8>> = case.authorities.iter().map(certificate).collect();
        let anchors = TrustStore::new(&authorities, 16).unwrap();
        let revocation = revocation(case, &anchors);
        Self(Pipeline {
            verifier: Arc::new(Verifier::new(server_key(&case.server), anchors, rules)),
            revocation: Arc::new(InForce::new(revocation)),
            replay: Memory::new(window, 1000),
            policy: policy(case.policy.as_ref()),
            refused_knocks: RefusedKnocks::default(),
        })
    }

    /// Proves a knock, without admitting it.
    pub(crate) fn verify(&self, knock: &Received) -> Result<VerifiedKnock, Refusal> {
        let unveiled = self.0.verifier.unveil(datagram(knock), now(knock))?;
        self.0.verifier.verify(unveiled, &self.0.revocation.load(), now(knock))
    }

    /// Judges all that comes before, which must be granted, and then the knock itself.
    pub(crate) fn judge(&self, case: &Case) -> Verdict {
        if case.policy.is_none() {
            return self.verify(&case.knock).map_or_else(Verdict::Refused, |_| Verdict::Proven);
        }
        let knocks = case.before.iter().chain([&case.knock]);
        let results: Vec<Result<policy::Grant, Refusal>> = if case.race {
            let proven: Vec<_> = knocks.map(|one| (self.verify(one), now(one))).collect();
            proven.into_iter().map(|(knock, now)| self.finish(knock?, now)).collect()
        } else {
            knocks.map(|one| self.handle(one)).collect()
        };
        let mut verdicts = results.into_iter().map(|result| match result {
            Ok(grant) => Verdict::Granted(described(&grant)),
            Err(reason) => Verdict::Refused(reason),
        });
        let last = verdicts.next_back().expect("the knock itself");
        for (place, verdict) in verdicts.enumerate() {
            assert!(matches!(verdict, Verdict::Granted(_)), "before[{place}]: {verdict:?}");
        }
        last
    }

    fn handle(&self, knock: &Received) -> Result<policy::Grant, Refusal> {
        let received = self.0.unveil(datagram(knock), now(knock));
        let decided = received.and_then(|received| self.0.decide(received, now(knock)));
        decided.map_err(|refused| refused.reason)
    }

    /// What the pipeline does once a knock is proven.
    fn finish(&self, knock: VerifiedKnock, now: Timestamp) -> Result<policy::Grant, Refusal> {
        let admitted = admit(&self.0.replay, knock, now)?;
        self.0.policy.authorize(admitted, now)
    }
}

fn datagram(knock: &Received) -> Datagram<'_> {
    Datagram::new(knock.source, &knock.datagram.0)
}

fn now(knock: &Received) -> Timestamp {
    Timestamp::from_millis(knock.at_ms)
}

fn revocation(case: &Case, anchors: &TrustStore) -> Revocation {
    let Some(names) = &case.crls else { return Revocation::NotConfigured };
    for name in &case.refused_crls {
        let verified = RevocationList::verify(&pki(&format!("{name}.crl")), anchors);
        assert!(verified.is_err(), "{name} is accepted");
    }
    let empty = RevocationLists::new(Duration::from_secs(case.rules.crl_grace_s));
    Revocation::Lists(names.iter().fold(empty, |lists, name| {
        lists.with(RevocationList::verify(&pki(&format!("{name}.crl")), anchors).unwrap())
    }))
}

/// Without a policy in the file nothing is admitted, so any will do.
fn policy(wanted: Option<&case::Policy>) -> Policy {
    let parse = |services: &Vec<String>| -> Vec<Service> {
        services.iter().map(|service| service.parse().unwrap()).collect()
    };
    let offered = wanted.and_then(|policy| policy.offered.as_ref()).map(parse);
    let usual = wanted.map_or(1, |policy| policy.usual_s);
    let longest = wanted.map_or(1, |policy| policy.longest_s);
    Policy::new(offered, Duration::from_secs(usual), Duration::from_secs(longest))
}

fn described(grant: &policy::Grant) -> Grant {
    Grant {
        services: grant.services().iter().map(ToString::to_string).collect(),
        seconds: grant.lifetime().as_secs(),
        clipped: grant.clipped(),
    }
}

fn server_key(name: &str) -> ServerKey {
    let mut keys: BTreeMap<String, Hex> = serde_json::from_slice(&pki("keys.json")).unwrap();
    let pkcs8 = keys.remove(name).expect("a key of that name").0;
    let key = PrivateKey::from_pkcs8(Zeroizing::new(pkcs8));
    ServerKey::new(&key, &certificate(&name.to_owned())).unwrap()
}

fn certificate(name: &String) -> Vec<u8> {
    pki(&format!("{name}.cer"))
}

fn pki(file: &str) -> Vec<u8> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("vectors/v2/pki");
    fs::read(folder.join(file)).unwrap_or_else(|why| panic!("pki/{file}: {why}"))
}
