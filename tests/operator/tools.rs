//! Programs in Python that scripts/install-test-tools.sh has put below target/.

use std::path::{Path, PathBuf};
use std::process::Command;

/// One of them, by its name.
pub fn python_tool(name: &str) -> Command {
    Command::new(folder().join(name))
}

fn folder() -> PathBuf {
    let installed = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/test-tools/python/bin");
    std::env::var_os("RTMPD_TEST_PYTHON").map_or(installed, PathBuf::from)
}
