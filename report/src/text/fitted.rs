//! Tables on narrow terminals: a row becomes a paragraph, since lines that a terminal breaks are no table.

use super::terminal::{lines, wrapped};
use comfy_table::Table;

/// The lines of a table; if one is wider than `width`, a paragraph for each row, with the names of its columns.
pub fn fitted(table: &Table, width: u16) -> String {
    let told = lines(table);
    let widest = table.lines().map(|line| console_width(line.trim_end())).max().unwrap_or(0);
    if widest <= usize::from(width) {
        return told;
    }
    let content = |cell: &comfy_table::Cell| cell.content().trim().to_owned();
    let heads: Vec<String> =
        table.header().into_iter().flat_map(|row| row.cell_iter().map(content)).collect();
    let paragraphs = table.row_iter().map(|row| {
        let mut parts = Vec::new();
        for (number, cell) in
            row.cell_iter().map(content).enumerate().filter(|(_, cell)| !cell.is_empty())
        {
            match heads.get(number).filter(|head| number > 0 && !head.is_empty()) {
                Some(head) => parts.push(format!("{head} {cell}")),
                None => parts.push(cell),
            }
        }
        // Later lines stand further in.
        wrapped(&parts.join(", "), width.saturating_sub(2)).replace('\n', "\n  ")
    });
    paragraphs.collect::<Vec<_>>().join("\n")
}

/// Columns of a line, without its colours.
fn console_width(line: &str) -> usize {
    let (mut columns, mut in_escape) = (0, false);
    for c in line.chars() {
        match c {
            '\u{1b}' => in_escape = true,
            'm' if in_escape => in_escape = false,
            _ if in_escape => {}
            _ => columns += 1,
        }
    }
    columns
}

#[cfg(test)]
mod tests {
    use super::*;
    use comfy_table::presets;

    #[test]
    fn what_does_not_fit_becomes_a_paragraph_a_row() {
        let mut table = Table::new();
        table.load_preset(presets::NOTHING).force_no_tty();
        table.set_header(["scenario", "valid", "accept p50", ""]);
        table
            .add_row(["smoke", "20 (100 %)", "9.65 ms", "quiet"])
            .add_row(["swarm", "", "8 ms", ""]);
        assert_eq!(fitted(&table, 80), lines(&table));
        let narrow =
            "smoke, valid 20 (100 %),\n  accept p50 9.65 ms, quiet\nswarm, accept p50 8 ms";
        assert_eq!(fitted(&table, 28), narrow);
        assert_eq!(console_width("\u{1b}[1;31mbad\u{1b}[0m news"), 8);
    }
}
