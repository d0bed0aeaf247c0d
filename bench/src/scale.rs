//! Measurements at large scale: grants, revoked certificates, clients, admitted knocks.

mod clients;
mod doors;
mod grants;
mod kernel;
mod lists;
mod packets;
mod replay;
mod together;

use crate::figures::Figures;
use crate::report::Report;
use crate::world::Site;

/// Measures and prints the requested tables: scale-grants, scale-lists, scale-clients, scale-replay,
/// scale-together.
pub(crate) fn measure(
    site: &Site,
    wanted: impl Fn(&str) -> bool,
    figures: &mut Figures,
    report: &mut Report,
) {
    if wanted("scale-replay") {
        report.tell(&replay::measure());
    }
    if wanted("scale-clients") {
        report.tell(&clients::measure(site));
    }
    if wanted("scale-lists") {
        report.tell(&lists::measure(site));
    }
    if wanted("scale-together") {
        report.tell(&together::measure(site));
    }
    if wanted("scale-grants") {
        grants::measure(figures, report);
    }
}
