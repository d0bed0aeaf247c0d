//! What comes between the wire and the pipeline.

mod fairness;
mod group;
mod packets;
mod room;
