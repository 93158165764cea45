//! Layers: a module imports only modules of a lower layer, `unsafe` stays in its modules, and the
//! packages of the pipeline stay where they belong. Tests inside a module may look anywhere.

use std::fs;
use std::path::{Path, PathBuf};

use rust_files::rust_files;

#[path = "common/rust_files.rs"]
mod rust_files;

/// Modules and their layers, as the map in `lib.rs` has them. `main` and `cli` see public names only.
const LAYERS: &[(&str, u8)] = &[
    ("system", 0),
    ("error", 1),
    ("http", 1),
    ("sync", 1),
    ("source", 2),
    ("digest", 2),
    ("plan", 2),
    ("panics", 2),
    ("private", 3),
    ("wire", 3),
    ("policy", 3),
    ("net", 3),
    ("hash", 4),
    ("service", 4),
    ("auth", 4),
    ("journal", 4),
    ("options", 5),
    ("transfer", 5),
    ("upload", 6),
    ("blocking", 7),
];

#[test]
fn modules_import_only_lower_layers() {
    let mut wrong = Vec::new();
    for (module, file, text) in library() {
        for import in words_after(&text, "crate::") {
            let Some(above) = layer(&import) else {
                continue;
            };
            if import != module && above >= layer(&module).expect("checked by library()") {
                wrong.push(format!("{} ({module}) imports {import}", file.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "arrows point down:\n{}", wrong.join("\n"));
}

#[test]
fn every_import_of_the_crate_is_a_module_or_a_public_error_name() {
    // `crate::Error` and its kin are `error`'s; any other bare name would dodge the layers.
    let known = ["Error", "Kind", "Operation", "Delivery", "Result", "Client"];
    for (_, file, text) in library() {
        for import in words_after(&text, "crate::") {
            let module = layer(&import).is_some();
            assert!(
                module || known.contains(&import.as_str()),
                "{}: crate::{import}",
                file.display()
            );
        }
    }
}

#[test]
fn unsafe_stays_in_its_modules() {
    let mut seen = 0;
    for (_, file, text) in library() {
        let path = file.display().to_string();
        let allowed = path.contains("src/source/")
            || path.contains("src/digest/kernel/")
            || path.ends_with("src/net/tcp_info.rs");
        for line in text.lines().filter(|line| is_unsafe(line)) {
            assert!(allowed, "{path}: {line}");
            seen += 1;
        }
    }
    assert!(seen > 0, "the search itself must work");
}

#[test]
fn packages_stay_in_their_modules() {
    let homes: &[(&str, &[&str])] = &[
        (
            "tokio::",
            &["net", "service", "auth", "transfer", "upload", "blocking"],
        ),
        ("rayon::", &["hash"]),
        ("crossbeam_channel::", &["upload"]),
        ("rusqlite::", &["journal"]),
        ("memmap2::", &["source"]),
        ("hyper::", &["net", "service"]),
        ("hyper_rustls::", &["net"]),
        ("serde_json::", &["wire", "auth", "journal"]),
    ];
    for (module, file, text) in library() {
        for (package, modules) in homes {
            let used = text.contains(package);
            assert!(
                !used || modules.contains(&module.as_str()),
                "{} uses {package}",
                file.display()
            );
        }
    }
}

#[test]
fn the_emulator_shares_nothing_with_the_library() {
    for file in rust_files(Path::new("tools/emulator/src")) {
        let text = fs::read_to_string(&file).expect("readable");
        let used = text.contains("panup::") || text.contains("../src") || text.contains("#[path");
        assert!(!used, "{} reaches into the library", file.display());
    }
    let manifest = fs::read_to_string("tools/emulator/Cargo.toml").expect("readable");
    assert!(!manifest.contains("\npanup ") && !manifest.contains("path = \"../..\""));
}

#[test]
fn the_command_sees_public_names_only() {
    for file in rust_files(Path::new("src/cli")) {
        let text = fs::read_to_string(&file).expect("readable");
        for import in words_after(&text, "crate::") {
            assert_eq!(import, "cli", "{}", file.display());
        }
        for hidden in ["journal", "net", "policy", "source"] {
            assert!(
                !text.contains(&format!("panup::{hidden}")),
                "{} sees {hidden}",
                file.display()
            );
        }
    }
}

/// The library's files with their modules, their inline tests cut off.
fn library() -> Vec<(String, PathBuf, String)> {
    let mut files = Vec::new();
    for file in rust_files(Path::new("src")) {
        let below = file.strip_prefix("src").expect("found there");
        let first = below
            .components()
            .next()
            .expect("a file")
            .as_os_str()
            .to_string_lossy()
            .into_owned();
        let module = first.trim_end_matches(".rs").to_owned();
        if ["lib", "main", "cli"].contains(&module.as_str()) || is_test_file(&file) {
            continue;
        }
        assert!(
            layer(&module).is_some(),
            "{module} has no layer: put it on the map here and in README"
        );
        let text = fs::read_to_string(&file).expect("readable");
        let product = text.split("#[cfg(test)]\nmod ").next().unwrap_or_default();
        let product = product
            .lines()
            .filter(|line| !line.trim_start().starts_with("//"));
        files.push((module, file.clone(), product.collect::<Vec<_>>().join("\n")));
    }
    assert!(files.len() > 30, "the walk itself must work");
    files
}

/// Files that a `#[cfg(test)] mod …;` line brings in.
fn is_test_file(file: &Path) -> bool {
    let name = file
        .file_stem()
        .expect("a name")
        .to_string_lossy()
        .into_owned();
    let parent = file.parent().expect("a folder");
    let in_tests = parent.file_name().is_some_and(|name| name == "tests");
    let declared = fs::read_to_string(parent.join("mod.rs"))
        .is_ok_and(|text| text.contains(&format!("#[cfg(test)]\nmod {name};")));
    in_tests || declared
}

fn layer(module: &str) -> Option<u8> {
    LAYERS
        .iter()
        .find(|(name, _)| *name == module)
        .map(|(_, layer)| *layer)
}

/// The first path segment after each `crate::`, braces opened.
fn words_after(text: &str, mark: &str) -> Vec<String> {
    let mut words = Vec::new();
    for (at, _) in text.match_indices(mark) {
        let rest = &text[at + mark.len()..];
        let word = |text: &str| {
            text.chars()
                .take_while(|c| c.is_alphanumeric() || *c == '_')
                .collect::<String>()
        };
        match rest.strip_prefix('{') {
            Some(list) => words.extend(
                list[..list.find('}').unwrap_or(0)]
                    .split(',')
                    .map(|part| word(part.trim())),
            ),
            None => words.push(word(rest)),
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

fn is_unsafe(line: &str) -> bool {
    let code = line.split("//").next().unwrap_or_default();
    ["unsafe {", "unsafe fn", "unsafe impl", "unsafe extern"]
        .iter()
        .any(|mark| code.contains(mark))
}
