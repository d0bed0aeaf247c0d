//! Revocation from end to end: the authority publishes a list, a web server serves it well or badly,
//! the confined network process fetches it, and what it says counts.

mod bad_lists;
mod clock;
mod cross_signed;
mod https;
mod issuers;
mod names;
mod noticed;
mod points;
mod proxies;
mod redirects;
mod rollback;
mod saved;
mod scene;
mod start;
mod trial;
mod tricks;
mod twins;
