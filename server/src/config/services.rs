//! Services in serialised settings, written as everywhere: `tcp/22`.

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serializer};
use sknock_protocol::Service;

pub(super) fn serialize<S: Serializer>(list: &[Service], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(list.iter().map(ToString::to_string))
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<Service>, D::Error> {
    let texts = Vec::<String>::deserialize(from)?;
    texts.iter().map(|text| text.parse().map_err(D::Error::custom)).collect()
}
