//! A scenario that is begun as another one says the same, and explains itself.

use scenarios::{BUILT_IN, Scenario, built_in, parse, starting_point};

fn parsed(text: &str) -> Scenario {
    parse(text, "mine.toml", &[]).unwrap_or_else(|mistakes| panic!("{mistakes}\n{text}"))
}

/// Whether a comment is a key with its default.
fn as_default(line: &str) -> Option<&str> {
    let (value, _) = line.strip_prefix("# ")?.split_once("  # ")?;
    value.contains(" = ").then_some(value)
}

#[test]
fn it_says_the_same_and_so_do_the_defaults_in_its_comments() {
    let mut defaults = 0;
    for one in BUILT_IN {
        let page = starting_point(one.text, "mine");
        let expected = Scenario { name: "mine".into(), ..parsed(one.text) };
        assert_eq!(parsed(&page), expected, "{}", one.name);
        let spelt_out: Vec<&str> =
            page.lines().map(|line| as_default(line).unwrap_or(line)).collect();
        defaults += page.lines().filter(|line| as_default(line).is_some()).count();
        assert_eq!(parsed(&spelt_out.join("\n")), expected, "{}", one.name);
    }
    assert!(defaults > BUILT_IN.len() * 10, "{defaults} defaults in {} files", BUILT_IN.len());
}

#[test]
fn every_key_is_explained_where_it_first_stands() {
    let smoke = built_in("smoke").expect("it is in the library");
    let page = starting_point(smoke.text, "it's \"mine\"");
    assert!(!page.contains("#:schema"), "there is no schema beside it:\n{page}");
    for part in [
        "# The question that the run answers.\nquestion = ",
        "\n\n# How many nodes of each role.\n[cluster]\n# Gateways.\ngateways = 2\n",
        "\n# brokers = 1  # Brokers; one in this version.\n",
        "\n# A scheduled fault.\n[[fault]]\n# When it begins",
        "\n\n[[fault]]\nat = \"7s\"\n",
    ] {
        assert!(page.contains(part), "{part}\nis not in\n{page}");
    }
    assert_eq!(parsed(&page).name, "it's \"mine\"");
    assert_eq!(page.matches("# A scheduled fault.").count(), 1);
}

#[test]
fn a_value_of_several_lines_is_left_alone() {
    let text = "question = \"\"\"\ncluster = 1\n[users]\n\"\"\"\nlesson = \"!\"\n\
                users = { count = 2, conversations = { direct = 1 } }\n\n\
                [load]\nphases = [\n  { for = \"1s\", rate = 1 },\n]\n";
    let page = starting_point(text, "mine");
    assert_eq!(parsed(&page).question, parsed(text).question);
    assert_eq!(parsed(&page).load, parsed(text).load);
}
