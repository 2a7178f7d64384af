//! The `rtmpd` program.

use std::io::Write;

use rtmpd::config::EngineConfig;
use rtmpd::server::Server;

fn main() -> std::io::Result<()> {
    env_logger::init();
    let port = std::env::args().nth(2).and_then(|port| port.parse().ok()).unwrap_or(1935);
    let mut server = Server::bind(([127, 0, 0, 1], port).into(), EngineConfig::default())?;
    let mut out = std::io::stdout();
    writeln!(out, "listening rtmp {}", server.address())?;
    out.flush()?;
    server.run()
}
