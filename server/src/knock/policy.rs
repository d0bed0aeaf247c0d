//! Computes the services and the duration of a grant. Pure.

use std::net::SocketAddr;
use std::time::Duration;

use sknock_protocol::service::{MOST_PORTS, all_covered, ports, union};
use sknock_protocol::{
    AddressClaim, AnswerKey, KnockId, Refusal, Revocation, Service, Subject, Timestamp, Transport,
};

use super::replay::AdmittedKnock;
use crate::config::GrantSettings;

/// Maximum number of ports of one grant, including each port of a range: each is an element of a kernel set,
/// and all must fit into one transaction.
pub const MAX_PORTS: u32 = MOST_PORTS;

/// The administrator's limits.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Policy {
    /// A union; `None` allows all that certificates allow.
    allow_list: Option<Vec<Service>>,
    default_lifetime: Duration,
    max_lifetime: Duration,
}

impl Policy {
    /// The services that may be granted, and their duration.
    ///
    /// `offered` (`allowedServices`) restricts the services of certificates; `None` does not.
    /// `default_lifetime` (`PORT_OPEN_DURATION_IN_SECONDS`) applies to knocks without a lifetime,
    /// `max_lifetime` (`MAX_PORT_OPEN_DURATION_IN_SECONDS`) to those with a greater one. Both are in whole
    /// seconds, at least one.
    pub fn new(
        offered: Option<Vec<Service>>,
        default_lifetime: Duration,
        max_lifetime: Duration,
    ) -> Self {
        Self { allow_list: offered.map(union), default_lifetime, max_lifetime }
    }

    /// The policy of a configuration.
    pub fn of(grants: &GrantSettings) -> Self {
        let offered = (!grants.services.is_empty()).then(|| grants.services.clone());
        let seconds = |seconds: u16| Duration::from_secs(seconds.into());
        Self::new(offered, seconds(grants.lasts), seconds(grants.longest))
    }

    /// Grants all that an admitted knock requests, or nothing.
    pub fn authorize(&self, admitted: AdmittedKnock, now: Timestamp) -> Result<Grant, Refusal> {
        let knock = admitted.knock();
        let services = self.services(knock.services(), &knock.subject().allowed)?;
        if ports(&services) > MAX_PORTS {
            return Err(Refusal::TooManyPorts);
        }
        if knock.single_use() && !fit_single_use(&services) {
            return Err(Refusal::SingleUseUnfit);
        }
        let left = knock.not_after().since(now);
        let (lasts, clipped) = self.lifetime(knock.lifetime(), left)?;
        Ok(Grant { admitted, services, lasts, clipped })
    }

    /// All of `asked`; if no service is requested, all that is `allowed` and offered.
    fn services(&self, asked: &[Service], allowed: &[Service]) -> Result<Vec<Service>, Refusal> {
        if allowed.is_empty() {
            return Err(Refusal::NothingAllowed);
        }
        if asked.is_empty() {
            let services = match &self.allow_list {
                Some(offered) => intersection(allowed, offered),
                None => allowed.to_vec(),
            };
            return if services.is_empty() {
                Err(Refusal::ServiceNotOffered)
            } else {
                Ok(services)
            };
        }
        let all_in = |these: &[Service]| asked.iter().all(|service| all_covered(service, these));
        if !all_in(allowed) {
            Err(Refusal::ServiceNotAllowed)
        } else if self.allow_list.as_deref().is_some_and(|offered| !all_in(offered)) {
            Err(Refusal::ServiceNotOffered)
        } else {
            Ok(asked.to_vec())
        }
    }

    /// The duration, and whether it is shorter than requested. `left` is the remaining validity of the
    /// certificate.
    fn lifetime(&self, asked: Option<u16>, left: Duration) -> Result<(Duration, bool), Refusal> {
        let wanted = match asked {
            None | Some(0) => self.default_lifetime,
            Some(seconds) => Duration::from_secs(seconds.into()),
        };
        let wanted = wanted.as_secs().max(1);
        let longest = self.max_lifetime.as_secs().max(1);
        let lasts = wanted.min(longest).min(left.as_secs());
        // Never a grant of zero seconds: the kernel treats a timeout of 0 as "no timeout".
        match lasts {
            0 => Err(Refusal::CertificateExpired),
            _ => Ok((Duration::from_secs(lasts), lasts < wanted)),
        }
    }
}

/// nftables can only count "the first new connection" for single TCP ports.
fn fit_single_use(services: &[Service]) -> bool {
    services.iter().all(|service| service.transport() == Transport::Tcp && service.width() == 1)
}

/// The intersection of two unions, as a union.
fn intersection(allowed: &[Service], offered: &[Service]) -> Vec<Service> {
    let pairs = allowed.iter().flat_map(|a| offered.iter().map(move |o| (a, o)));
    let common = pairs.filter(|(a, o)| a.transport() == o.transport()).filter_map(|(a, o)| {
        Service::new(a.transport(), a.first().max(o.first()), a.last().min(o.last()))
    });
    union(common)
}

/// Permission for a client to use services. Only [`Policy::authorize`] makes one:
///
/// ```compile_fail,E0451
/// use sknock_server::knock::policy::Grant;
/// fn prolong(genuine: Grant) -> Grant {
///     Grant { lasts: std::time::Duration::MAX, ..genuine }
/// }
/// ```
///
/// A verified knock is not enough:
///
/// ```compile_fail,E0308
/// use sknock_protocol::{Timestamp, VerifiedKnock};
/// use sknock_server::knock::policy::Policy;
/// fn hurry(policy: &Policy, knock: VerifiedKnock, now: Timestamp) {
///     let grant = policy.authorize(knock, now);
/// }
/// ```
///
/// an admitted one is required:
///
/// ```
/// use sknock_protocol::{Timestamp, Refusal};
/// use sknock_server::knock::policy::{Grant, Policy};
/// use sknock_server::knock::replay::AdmittedKnock;
/// fn properly(policy: &Policy, knock: AdmittedKnock, now: Timestamp) -> Result<Grant, Refusal> {
///     policy.authorize(knock, now)
/// }
/// ```
#[derive(Debug)]
#[must_use]
pub struct Grant {
    admitted: AdmittedKnock,
    services: Vec<Service>,
    lasts: Duration,
    clipped: bool,
}

impl Grant {
    /// The knock id.
    pub fn id(&self) -> KnockId {
        self.admitted.knock().id()
    }

    /// The source of the knock and destination of the answer.
    pub fn source(&self) -> SocketAddr {
        self.admitted.knock().source()
    }

    /// The addresses of the grant.
    pub fn claim(&self) -> AddressClaim {
        self.admitted.knock().claim()
    }

    /// The services: ascending, without overlap; 1 to [`MAX_PORTS`] ports in all.
    pub fn services(&self) -> &[Service] {
        &self.services
    }

    /// The duration: whole seconds, at least one.
    pub fn lifetime(&self) -> Duration {
        self.lasts
    }

    /// Whether it is shorter than requested, or than the default if nothing was requested.
    pub fn clipped(&self) -> bool {
        self.clipped
    }

    /// Whether the first new connection ends it. Then all services are single TCP ports.
    pub fn single_use(&self) -> bool {
        self.admitted.knock().single_use()
    }

    /// The client's certificate.
    pub fn subject(&self) -> &Subject {
        self.admitted.knock().subject()
    }

    /// Checks the certificate's paths by `revocation`: a refusal if none is left, and a shorter duration if
    /// the remaining paths end earlier.
    pub fn check_revocation(
        &mut self,
        revocation: &Revocation,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        let end = self.admitted.knock().check_revocation(revocation, now)?;
        let left = Duration::from_secs(end.since(now).as_secs());
        if left.is_zero() {
            return Err(Refusal::CertificateExpired);
        }
        self.clipped |= left < self.lasts;
        self.lasts = self.lasts.min(left);
        Ok(())
    }

    /// The key for the answer, if the client requested one.
    pub fn answer_key(&self) -> Option<&AnswerKey> {
        self.admitted.knock().answer_key()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Vec<Service> {
        text.split_whitespace().map(|service| service.parse().unwrap()).collect()
    }

    fn policy(offered: Option<&str>) -> Policy {
        let (usual, longest) = (Duration::from_secs(15), Duration::from_secs(60));
        Policy::new(offered.map(parse), usual, longest)
    }

    #[test]
    fn every_service_must_be_allowed_and_offered() {
        let ask = |asked: &str, allowed: &str, offered| {
            policy(offered).services(&parse(asked), &parse(allowed))
        };
        assert_eq!(ask("tcp/22", "tcp/1-100", None), Ok(parse("tcp/22")));
        assert_eq!(ask("tcp/22 udp/53", "tcp/22", None), Err(Refusal::ServiceNotAllowed));
        assert_eq!(ask("udp/22", "tcp/22", None), Err(Refusal::ServiceNotAllowed));
        assert_eq!(ask("tcp/22", "tcp/22", Some("tcp/80")), Err(Refusal::ServiceNotOffered));
        assert_eq!(ask("tcp/22", "tcp/22", Some("")), Err(Refusal::ServiceNotOffered));
        assert_eq!(ask("tcp/22", "", None), Err(Refusal::NothingAllowed));
        // Adjacent ports in the administrator's list form one range.
        assert_eq!(ask("tcp/22-23", "tcp/22-23", Some("tcp/23 tcp/22")), Ok(parse("tcp/22-23")));
    }

    #[test]
    fn asking_for_everything_gives_what_is_allowed_and_offered() {
        let all = |allowed: &str, offered| policy(offered).services(&[], &parse(allowed));
        assert_eq!(all("tcp/22 udp/53", None), Ok(parse("tcp/22 udp/53")));
        let offered = Some("tcp/22 tcp/90-200 udp/1-9");
        assert_eq!(all("tcp/1-100 udp/53", offered), Ok(parse("tcp/22 tcp/90-100")));
        assert_eq!(all("tcp/22", Some("udp/22")), Err(Refusal::ServiceNotOffered));
        assert_eq!(all("", Some("udp/22")), Err(Refusal::NothingAllowed));
    }

    #[test]
    fn a_lifetime_is_clipped_to_the_maximum_and_the_certificate() {
        let year = Duration::from_secs(31_536_000);
        let lasts = |asked, left| {
            policy(None).lifetime(asked, left).map(|(lasts, clipped)| (lasts.as_secs(), clipped))
        };
        assert_eq!(lasts(None, year), Ok((15, false)));
        assert_eq!(lasts(Some(0), year), Ok((15, false)));
        assert_eq!(lasts(Some(60), year), Ok((60, false)));
        assert_eq!(lasts(Some(61), year), Ok((60, true)));
        assert_eq!(lasts(Some(30), Duration::from_millis(20_999)), Ok((20, true)));
    }

    #[test]
    fn no_grant_is_for_no_time() {
        let nearly = Duration::from_millis(999);
        assert_eq!(policy(None).lifetime(None, nearly), Err(Refusal::CertificateExpired));
        let careless = Policy::new(None, Duration::ZERO, Duration::ZERO);
        let second = Duration::from_secs(1);
        assert_eq!(careless.lifetime(None, second), Ok((second, false)));
    }
}
