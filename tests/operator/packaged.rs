//! What the image of `Dockerfile` is built of: all that the source takes into the program has to be there.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Component, Path};

/// The folders and files of the project, by the first part of their path, that `include_str!` and `include_bytes!` of
/// the source (tests aside) take from outside `src`.
fn included(folder: &Path, found: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            included(&path, found);
        } else if path.extension().is_some_and(|it| it == "rs") && path.file_name().is_some_and(|it| it != "tests.rs") {
            let text = fs::read_to_string(&path).unwrap();
            for part in text.split("include_").skip(1) {
                let Some(name) =
                    part.split('"').nth(1).filter(|_| part.starts_with("str!(") || part.starts_with("bytes!("))
                else {
                    continue;
                };
                found.insert(first_part(folder, name));
            }
        }
    }
}

/// Of a path as it stands in a file of `folder`: where it begins, seen from the top of the project.
fn first_part(folder: &Path, name: &str) -> String {
    let mut parts = Vec::new();
    for part in folder.strip_prefix(env!("CARGO_MANIFEST_DIR")).unwrap().join(name).components() {
        match part {
            Component::ParentDir => {
                parts.pop();
            }
            Component::Normal(part) => parts.push(part.to_str().unwrap().to_owned()),
            _ => panic!("{name}"),
        }
    }
    parts.first().unwrap().clone()
}

#[test]
fn the_image_is_built_with_all_that_the_program_has_inside() {
    let top = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut wanted = BTreeSet::new();
    included(&top.join("src"), &mut wanted);
    assert!(wanted.contains("assets") && wanted.contains("contrib"), "{wanted:?}");
    let (recipe, ignored) =
        ["Dockerfile", ".dockerignore"].map(|file| fs::read_to_string(top.join(file)).unwrap()).into();
    for name in wanted {
        assert!(recipe.lines().any(|line| line == format!("COPY {name} {name}")), "Dockerfile does not copy {name}");
        assert!(ignored.lines().any(|line| line == format!("!{name}")), ".dockerignore leaves {name} out");
    }
}
