//! The commands that the README tells a new operator to type.

use std::path::Path;

/// Stands in front of the section in the README.
const MARK: &str = "<!-- scripts/test.sh walks these steps: tests/operator/first_steps.rs -->";

/// The blocks of commands between the mark and the next heading, in their order.
pub fn blocks() -> Vec<String> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let text = std::fs::read_to_string(file).unwrap();
    let (_, section) = text.split_once(MARK).expect("the mark stands in the README");
    let section = section.split("\n## ").next().unwrap();
    let mut blocks = Vec::new();
    let mut parts = section.split("```");
    parts.next();
    while let (Some(block), Some(_)) = (parts.next(), parts.next()) {
        let (_, commands) = block.split_once('\n').unwrap();
        blocks.push(commands.to_owned());
    }
    blocks
}

/// The text of the section, without the commands.
pub fn words() -> String {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let text = std::fs::read_to_string(file).unwrap();
    let (_, section) = text.split_once(MARK).expect("the mark stands in the README");
    let section = section.split("\n## ").next().unwrap();
    section.split("```").step_by(2).collect()
}
