//! What comes between the wire and the pipeline.

mod copies;
mod fairness;
mod group;
mod packets;
mod room;
