//! `reports/README.md` against the code: every example line parses and comes out the same, and every
//! kind of event is documented.

use std::collections::BTreeSet;
use verify::history::{Event, Header, What};

fn page() -> String {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../reports/README.md");
    std::fs::read_to_string(path).expect("the page is there")
}

/// The lines of the page that are JSON.
fn examples(page: &str) -> impl Iterator<Item = &str> {
    page.lines().filter(|line| line.starts_with("{\""))
}

#[test]
fn every_example_line_is_what_the_code_writes() {
    let page = page();
    let (mut headers, mut events) = (0, 0);
    for line in examples(&page) {
        let written = if line.starts_with("{\"format\"") {
            headers += 1;
            let header: Header = serde_json::from_str(line).expect(line);
            serde_json::to_string(&header)
        } else {
            events += 1;
            let event: Event = serde_json::from_str(line).expect(line);
            serde_json::to_string(&event)
        };
        assert_eq!(written.expect("these have string keys only"), line);
    }
    assert!(headers == 1 && events > 30, "{headers} headers, {events} events");
}

#[test]
fn every_kind_of_event_has_an_example_and_a_row_with_its_fields() {
    let page = page();
    let mut shown = BTreeSet::new();
    for line in examples(&page).filter(|line| !line.starts_with("{\"format\"")) {
        let event: serde_json::Value = serde_json::from_str(line).expect(line);
        let (kind, fields) = event["is"].as_object().expect(line).iter().next().expect(line);
        let row = page
            .lines()
            .find(|row| row.starts_with("| `") && row.contains(&format!("`{kind}`")))
            .unwrap_or_else(|| panic!("{kind} has no row"));
        for field in fields.as_object().into_iter().flat_map(serde_json::Map::keys) {
            assert!(row.contains(&format!("`{field}`")), "the row of {kind} lacks {field}");
        }
        shown.insert(kind.clone());
    }
    assert_eq!(shown, kinds());
}

/// Every kind, as serde names them when it is given one that it does not know.
fn kinds() -> BTreeSet<String> {
    let error = serde_json::from_str::<What>("{\"laughed\":{}}").expect_err("no such kind");
    let text = error.to_string();
    let (_, list) = text.split_once("expected one of").expect("serde lists the kinds");
    list.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}
