//! The `rtmpd` program.

fn main() {}
