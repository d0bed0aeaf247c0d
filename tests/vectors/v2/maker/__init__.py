"""Makes the reference vectors of sKnock protocol v2. Shares no code with the Rust implementation."""
