//! What is shipped beside the crate is in step with it: the library, the schema, the documentation.

use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Compares a committed file with what the code says, or writes it if `UPDATE_EXPECT` is set (as
/// for the snapshots of expect-test).
fn check_in_step(path: &Path, expected: &str) {
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        std::fs::write(path, expected).expect("the file can be written");
    }
    let committed = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        committed == expected,
        "{} is out of step: run UPDATE_EXPECT=1 cargo test -p scenarios",
        path.display()
    );
}

#[test]
fn every_scenario_of_the_library_is_valid_and_called_after_its_file() {
    let library = scenarios::library(&root().join("scenarios")).expect("the library can be read");
    assert!(library.len() >= 10, "{} scenarios", library.len());
    for listing in library {
        let about = listing.about.unwrap_or_else(|mistakes| panic!("{mistakes}"));
        let stem = listing.path.file_stem().expect("a file has a name").to_string_lossy();
        assert_eq!(about.name, stem);
        let text = std::fs::read_to_string(&listing.path).expect("it was read before");
        assert!(text.starts_with("#:schema ../schema.json\n"), "{stem} must name its schema");
    }
}

#[test]
fn the_library_is_built_in_and_each_name_stands_for_one_scenario() {
    let library = scenarios::library(&root().join("scenarios")).expect("the library can be read");
    let built_in = scenarios::built_in_library();
    assert_eq!(built_in.len(), library.len());
    for (one, file) in built_in.iter().zip(library) {
        assert_eq!(Some(one.path.as_os_str()), file.path.file_stem());
        assert_eq!((&one.folder, &one.about), (&file.folder, &file.about));
        let name = one.path.to_str().expect("a name");
        let found = scenarios::built_in(name).expect("it is listed");
        // A name that two folders have would find the first one only.
        assert_eq!(found.folder, one.folder, "{name}");
        assert_eq!(found.text, std::fs::read_to_string(&file.path).expect("it was read before"));
    }
    assert!(scenarios::built_in("safety/smoke").is_none());
}

#[test]
fn every_kind_of_fault_has_a_scenario_that_shows_it() {
    let schema = scenarios::schema();
    let kind = &schema["properties"]["fault"]["anyOf"][0]["items"]["properties"]["kind"];
    let words = kind["anyOf"][0]["enum"].as_array().expect("the kinds are words");
    assert!(words.len() >= 10, "{words:?}");
    for word in words {
        let word = word.as_str().expect("a word is text");
        let path = root().join(format!("scenarios/faults/{}.toml", word.replace('_', "-")));
        let text = std::fs::read_to_string(&path)
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let scenario = scenarios::parse(&text, &path.display().to_string(), &[])
            .unwrap_or_else(|mistakes| panic!("{mistakes}"));
        let kinds: Vec<&str> = scenario.faults.iter().map(|fault| fault.kind.word()).collect();
        assert_eq!(kinds.first(), Some(&word), "{}", path.display());
    }
}

#[test]
fn whatever_the_swarm_draws_can_be_run() {
    let path = root().join("scenarios/safety/swarm.toml");
    let text = std::fs::read_to_string(&path).expect("it is there");
    let mut shapes = std::collections::BTreeSet::new();
    for seed in 1..200 {
        let drawn = scenarios::parse_with_seed(&text, "swarm.toml", &[], seed)
            .unwrap_or_else(|mistakes| panic!("seed {seed}: {mistakes}"));
        let faults = drawn.scenario.random_faults.expect("it is full of them");
        assert_eq!((faults.kinds.len(), faults.roles.len()), (14, 6));
        shapes.insert(drawn.lots);
    }
    assert!(shapes.len() > 190, "{} shapes in 199 seeds", shapes.len());
}

#[test]
fn the_committed_schema_is_in_step() {
    let schema = serde_json::to_string_pretty(&scenarios::schema()).expect("JSON is text") + "\n";
    check_in_step(&root().join("scenarios/schema.json"), &schema);
}

#[test]
fn the_documented_keys_are_in_step() {
    const BEGIN: &str = "<!-- keys: generated from the code by cargo test -p scenarios -->\n\n";
    const END: &str = "<!-- end of keys -->\n";
    let path = root().join("docs/scenarios.md");
    let page = std::fs::read_to_string(&path).expect("the page can be read");
    let (before, rest) = page.split_once(BEGIN).expect("the page marks where its keys begin");
    let (_, after) = rest.split_once(END).expect("the page marks where its keys end");
    check_in_step(&path, &format!("{before}{BEGIN}{}{END}{after}", scenarios::reference()));
}

/// Whoever reads the page copies its examples and runs them.
#[test]
fn every_scenario_of_the_documentation_can_be_run() {
    let page = std::fs::read_to_string(root().join("docs/scenarios.md")).expect("it can be read");
    let after_fence = page.split("```toml\n").skip(1);
    let examples: Vec<&str> = after_fence.filter_map(|rest| rest.split("```").next()).collect();
    assert!(!examples.is_empty(), "the page has examples");
    for example in examples {
        let scenario = scenarios::parse(example, "example", &[])
            .unwrap_or_else(|mistakes| panic!("{mistakes}\n{example}"));
        let idle = |name: &str| scenario.expect.may_be_idle.iter().any(|idle| idle == name);
        let edits = scenario.load.mix.edit + scenario.load.mix.delete;
        assert!(edits > 0.0 || idle("edits_converge"), "it comes out unknown:\n{example}");
    }
}
