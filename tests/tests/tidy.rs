//! The rules of the house that a program can check, on every file of the checkout: columns, lengths, words, which way
//! modules depend on each other, what each outside crate is for, and under which licence it comes.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test may panic")]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;

const COLUMNS_MAX: usize = 120;
const FILE_LINES_MAX: usize = 600;
/// Endings of files that people write and read line by line. Sentences for the pages (`json`) are not wrapped.
const LINED: [&str; 8] = ["rs", "toml", "proto", "md", "js", "css", "html", "rules"];
const SKIPPED_FOLDERS: [&str; 4] = [".git", "target", "shared", "demo-data"];
/// Licences whose terms a shop can meet by keeping the notices; the last are for data tables and tests' tools.
const LICENCES: [&str; 14] = [
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "0BSD",
    "BSD-1-Clause",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "ISC",
    "MIT",
    "MIT-0",
    "MPL-2.0",
    "Unicode-3.0",
    "Zlib",
];
const REGISTRY: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// Which of our own crates each may use, tests aside: dependencies point one way.
const EDGES: [(&str, &[&str]); 6] = [
    ("palm-proto", &[]),
    ("palm-models", &[]),
    ("palm-driver", &[]),
    ("palm-till", &["palm-driver", "palm-models", "palm-proto"]),
    ("palm-server", &["palm-models", "palm-proto"]),
    (
        "palm-tests",
        &[
            "palm-driver",
            "palm-models",
            "palm-proto",
            "palm-server",
            "palm-till",
        ],
    ),
];

/// The files that may name an outside crate which touches hardware, pixels, disk, crypto or a
/// format of others; tests aside.
const PLACES: [(&str, &[&str]); 14] = [
    ("opencv", &["models/src/vision.rs"]),
    ("sled", &["server/src/store/sled_store.rs"]),
    (
        "nusb",
        &[
            "driver/src/dfu/usb.rs",
            "driver/src/usb.rs",
            "driver/src/usb/unit.rs",
            "tests/usb/guest/bare.rs", // the bus without the driver, for the benches
        ],
    ),
    ("linuxvideo", &["driver/src/camera/device.rs"]),
    ("hpke", &["proto/src/envelope.rs"]),
    ("rcgen", &["server/src/pki.rs"]),
    (
        "image",
        &["driver/src/picture.rs", "models/src/eval/load.rs"],
    ),
    (
        "ring",
        &[
            "driver/src/protocol/crypto.rs", // the reader's session and its maker's statements
            "driver/till/src/entropy.rs",    // randomness
            "server/src/entropy.rs",         // randomness
            "server/src/gallery/sealed/keys.rs", // derivation, sealing and streams of the sealed gallery
            "server/src/pki.rs",                 // fingerprints
            "server/src/rail/stripe/webhook.rs", // signatures of the provider's messages
            "server/src/vault.rs",               // sealing at rest
        ],
    ),
    ("csv", &["server/src/reports/rail.rs"]),
    ("encoding_rs", &["server/src/reports/escpos.rs"]),
    ("quick_xml", &["server/src/reports/xml.rs"]),
    ("unicode_width", &["server/src/reports/columns.rs"]),
    ("rustls", &["server/src/rail/stripe/client.rs"]),
    (
        "rustix",
        &[
            "driver/src/camera/device.rs",
            "driver/src/hotplug/notices.rs",
            "tests/src/process.rs",
        ],
    ),
];

struct Source {
    /// From the root, with `/`.
    name: String,
    text: String,
}

impl Source {
    fn ending(&self) -> &str {
        self.name.rsplit_once('.').map_or("", |(_, ending)| ending)
    }

    fn is_rust(&self) -> bool {
        self.ending() == "rs"
    }

    /// Whether it only serves tests.
    fn is_test(&self) -> bool {
        let parts: Vec<&str> = self.name.split('/').collect();
        let folder = |name| parts[1..parts.len().max(2) - 1].contains(&name);
        folder("tests") || self.name.ends_with("/tests.rs") || self.name.ends_with("/fixture.rs")
    }

    /// Numbered lines before the tests at the end of the file.
    fn production(&self) -> impl Iterator<Item = (usize, &str)> {
        let tests = self
            .text
            .find("\n#[cfg(test)]\nmod tests {")
            .unwrap_or(self.text.len());
        (1..).zip(self.text[..tests].lines())
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn sources() -> Vec<Source> {
    let mut sources = Vec::new();
    collect(&root(), "", &mut sources);
    assert!(sources.len() > 100, "the checkout was not found");
    sources
}

fn collect(folder: &Path, prefix: &str, sources: &mut Vec<Source>) {
    let mut entries: Vec<_> = fs::read_dir(folder).unwrap().map(Result::unwrap).collect();
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let own = entry.file_name().into_string().unwrap();
        let name = format!("{prefix}{own}");
        if entry.file_type().unwrap().is_dir() {
            if !SKIPPED_FOLDERS.contains(&own.as_str()) {
                collect(&entry.path(), &format!("{name}/"), sources);
            }
        } else if let Ok(text) = fs::read_to_string(entry.path()) {
            sources.push(Source { name, text });
        }
    }
}

/// Fails with every finding, not only the first.
fn none(what: &str, findings: &[String]) {
    assert!(findings.is_empty(), "{what}:\n  {}", findings.join("\n  "));
}

#[test]
fn lines_are_at_most_120_columns() {
    let mut long = Vec::new();
    for source in sources() {
        let is_script = ["x", ".ci/run"].contains(&source.name.as_str());
        if !is_script && !LINED.contains(&source.ending()) {
            continue;
        }
        for (number, line) in (1..).zip(source.text.lines()) {
            let is_row = is_table_row(line);
            if line.chars().count() > COLUMNS_MAX && !is_row {
                long.push(format!(
                    "{}:{number}: {} columns",
                    source.name,
                    line.chars().count()
                ));
            }
        }
    }
    none("wrap these lines", &long);
}

/// Rows of a table, in a document or in a comment, cannot be wrapped.
fn is_table_row(line: &str) -> bool {
    let text = line.trim_start();
    let text = text
        .strip_prefix("//!")
        .or_else(|| text.strip_prefix("///"))
        .unwrap_or(text);
    text.trim_start().starts_with('|')
}

#[test]
fn files_are_at_most_600_lines_without_tests() {
    let length = |source: &Source| {
        source
            .production()
            .filter(|(_, line)| !line.trim().is_empty())
            .count()
    };
    let long: Vec<String> = sources()
        .iter()
        .filter(|source| source.is_rust() && !source.is_test() && length(source) > FILE_LINES_MAX)
        .map(|source| format!("{}: {} lines", source.name, length(source)))
        .collect();
    none(
        "split these files, keeping the branches in the parent",
        &long,
    );
}

#[test]
fn modules_begin_with_what_they_are() {
    let silent: Vec<String> = sources()
        .iter()
        .filter(|source| source.is_rust() && !source.name.ends_with("/tests.rs"))
        .filter(|source| !source.text.starts_with("//!"))
        .map(|source| source.name.clone())
        .collect();
    none("begin these files with //! and what they are", &silent);
}

#[test]
fn nothing_is_left_to_remove_before_a_merge() {
    // Written in two parts, so that this file does not name them.
    let words = [
        concat!("FIX", "ME"),
        concat!("// XX", "X"),
        concat!("to", "do!("),
        concat!("d", "bg!("),
        concat!("unimplem", "ented!("),
        concat!("/wo", "rk/"),
        concat!("/ro", "ot/"),
        concat!("/tm", "p/"),
        concat!("static.cra", "tes.io"),
        concat!("index.cra", "tes.io"),
        concat!(".cargo/regi", "stry"),
    ];
    let mut found = Vec::new();
    for source in sources() {
        for (number, line) in (1..).zip(source.text.lines()) {
            let is_ignored = source.is_rust() && line.trim_start().starts_with("#[ignore");
            assert!(
                !is_ignored,
                "{}:{number}: a test that is not run",
                source.name
            );
            let named = words.iter().filter(|word| line.contains(**word));
            found.extend(named.map(|word| format!("{}:{number}: {word}", source.name)));
        }
    }
    none("remove these", &found);
}

#[test]
fn outside_crates_are_named_in_their_places_only() {
    let mut found = Vec::new();
    for source in sources()
        .iter()
        .filter(|source| source.is_rust() && !source.is_test())
    {
        for (outside, places) in PLACES {
            if places.contains(&source.name.as_str()) {
                continue;
            }
            let code = source
                .production()
                .filter(|(_, line)| !line.trim_start().starts_with("//"));
            let named = code.filter(|(_, line)| names(line, outside));
            found.extend(named.map(|(number, _)| format!("{}:{number}: {outside}", source.name)));
        }
    }
    none("keep these to their one place", &found);
}

/// Whether a line uses a crate by its path. `image` is also a module of our own: there, only the outside crate's items
/// count.
fn names(line: &str, outside: &str) -> bool {
    let path = format!("{outside}::");
    line.match_indices(&path).any(|(at, _)| {
        let before = line[..at].chars().next_back().unwrap_or(' ');
        let after = &line[at + path.len()..];
        let is_own = outside == "image"
            && ["GreyImage", "ImageError as", "SIDE_MAX"]
                .iter()
                .any(|own| after.starts_with(own) || after.starts_with("{GreyImage"));
        !(before.is_alphanumeric() || before == '_' || before == ':' || is_own)
    })
}

fn cargo(arguments: &[&str]) -> Vec<u8> {
    let command = Command::new(env!("CARGO"))
        .args(arguments)
        .current_dir(root())
        .output();
    let output = command.unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "cargo {arguments:?}: {said}");
    output.stdout
}

/// What is built on a machine such as this one: crates for other systems are not there to be looked at.
fn metadata() -> Value {
    let version = String::from_utf8(cargo(&["--version", "--verbose"])).unwrap();
    let host = version
        .lines()
        .find_map(|line| line.strip_prefix("host: "))
        .unwrap();
    let wanted = ["metadata", "--format-version", "1", "--offline", "--locked"];
    let metadata = cargo(&[&wanted[..], &["--filter-platform", host]].concat());
    serde_json::from_slice(&metadata).unwrap()
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key]
        .as_str()
        .unwrap_or_else(|| panic!("{key} of {value}"))
}

/// The packages of this workspace.
fn members(metadata: &Value) -> Vec<&Value> {
    let packages = metadata["packages"].as_array().unwrap().iter();
    packages
        .filter(|package| package["source"].is_null())
        .collect()
}

#[test]
fn dependencies_point_one_way() {
    let metadata = metadata();
    let edges = BTreeMap::from(EDGES);
    let mut wrong = Vec::new();
    for member in members(&metadata) {
        let name = text(member, "name");
        let allowed = edges
            .get(name)
            .unwrap_or_else(|| panic!("{name}: say what it may use"));
        for dependency in member["dependencies"].as_array().unwrap() {
            let used = text(dependency, "name");
            let is_ours = edges.contains_key(used) && dependency["kind"].is_null();
            if is_ours && !allowed.contains(&used) {
                wrong.push(format!("{name} uses {used}"));
            }
        }
    }
    none("turn these round", &wrong);
}

#[test]
fn server_leaves_pixels_out() {
    let metadata = metadata();
    let server = members(&metadata)
        .into_iter()
        .find(|m| text(m, "name") == "palm-server")
        .unwrap();
    let dependencies = server["dependencies"].as_array().unwrap();
    let models = dependencies
        .iter()
        .find(|d| text(d, "name") == "palm-models")
        .unwrap();
    assert_eq!(
        models["uses_default_features"], false,
        "the extractor links OpenCV"
    );
    let features: Vec<&str> = models["features"]
        .as_array()
        .unwrap()
        .iter()
        .map(|f| f.as_str().unwrap())
        .collect();
    assert!(
        !features.contains(&"extract"),
        "the server compares templates only: {features:?}"
    );
}

#[test]
fn every_direct_dependency_has_its_reason_in_contributing() {
    let contributing = fs::read_to_string(root().join("CONTRIBUTING.md")).unwrap();
    let rows = contributing
        .lines()
        .filter_map(|line| line.strip_prefix("| "));
    let given: BTreeSet<&str> = rows
        .filter_map(|row| row.split_once(" |").map(|(names, _)| names))
        .flat_map(|names| names.split(", "))
        .collect();
    let metadata = metadata();
    let used: BTreeSet<&str> = members(&metadata)
        .into_iter()
        .flat_map(|member| member["dependencies"].as_array().unwrap())
        .map(|dependency| text(dependency, "name"))
        .collect();
    let unexplained: Vec<String> = used
        .difference(&given)
        .map(|name| (*name).to_owned())
        .collect();
    none("say in CONTRIBUTING.md why these are here", &unexplained);
    let given_up: Vec<String> = given
        .difference(&used)
        .filter(|name| !["crate", "---"].contains(*name))
        .map(|name| (*name).to_owned())
        .collect();
    none("CONTRIBUTING.md explains what nobody uses", &given_up);
}

#[test]
fn every_workspace_member_says_why_it_exists() {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let (_, members) = manifest.split_once("members = [").unwrap();
    let (members, _) = members.split_once(']').unwrap();
    let silent: Vec<String> = members
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.contains("\", # ") && !line.contains("\",  # "))
        .filter(|line| {
            line.split_once('#')
                .is_none_or(|(_, why)| why.trim().is_empty())
        })
        .map(ToOwned::to_owned)
        .collect();
    none("say in Cargo.toml what these are for", &silent);
}

#[test]
fn every_crate_comes_from_crates_io_under_a_licence_that_a_shop_can_keep() {
    let metadata = metadata();
    let mut wrong = Vec::new();
    for package in metadata["packages"].as_array().unwrap() {
        let name = text(package, "name");
        if let Some(source) = package["source"].as_str()
            && source != REGISTRY
        {
            wrong.push(format!("{name}: from {source}"));
        }
        let licence = package["license"].as_str().unwrap_or("none told");
        if !is_allowed(licence) {
            wrong.push(format!("{name}: {licence}"));
        }
    }
    none("these cannot be shipped", &wrong);
}

/// Whether an SPDX expression can be met with [`LICENCES`]: each part of an AND, one part of an OR.
fn is_allowed(expression: &str) -> bool {
    let expression = expression.replace('/', " OR ");
    parts(&expression, " AND ").iter().all(|all| {
        parts(all, " OR ").iter().any(|one| {
            let one = one.trim();
            match one
                .strip_prefix('(')
                .and_then(|inner| inner.strip_suffix(')'))
            {
                Some(inner) => is_allowed(inner),
                None => LICENCES.contains(&one),
            }
        })
    })
}

/// The parts between `separator` that is not inside brackets.
fn parts<'a>(expression: &'a str, separator: &str) -> Vec<&'a str> {
    let (mut parts, mut begin) = (Vec::new(), 0);
    for (at, _) in expression.match_indices(separator) {
        let open = expression[..at].matches('(').count();
        if open == expression[..at].matches(')').count() {
            parts.push(&expression[begin..at]);
            begin = at + separator.len();
        }
    }
    parts.push(&expression[begin..]);
    parts
}

#[test]
fn licence_expressions_are_read_as_spdx_says() {
    for (expression, allowed) in [
        ("MIT", true),
        ("MIT OR Apache-2.0", true),
        ("MIT/Apache-2.0", true),
        ("GPL-3.0-only", false),
        ("GPL-3.0-only OR MIT", true),
        ("GPL-3.0-only AND MIT", false),
        ("(MIT OR Apache-2.0) AND Unicode-3.0", true),
        ("(MIT OR GPL-2.0-only) AND GPL-2.0-only", false),
        ("none told", false),
    ] {
        assert_eq!(is_allowed(expression), allowed, "{expression}");
    }
}
