//! Markdown of the documentation as text for a terminal: paragraphs, lists, tables and code blocks, with bold
//! words, code and links in them. Whoever picks the parts leaves out headings.

use campaign::observation::Terminal;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Style {
    Plain,
    Bold,
    Code,
}

/// The text, wrapped to the width of the terminal. Without colour, code keeps its backticks.
pub fn to_text(markdown: &str, terminal: Terminal) -> String {
    let mut text = String::new();
    let (mut block, mut in_code) = (String::new(), false);
    // The empty line at the end closes the last block.
    for line in without_tables(markdown).lines().chain([""]) {
        let begins = line.starts_with("- ") || line.starts_with("```") || line.trim().is_empty();
        if begins && !in_code {
            text.push_str(&wrapped(&block, terminal));
            block.clear();
        }
        if line.starts_with("```") {
            in_code = !in_code;
        } else if in_code {
            text.extend(["    ", line, "\n"]);
        } else if line.trim().is_empty() {
            if !text.is_empty() && !text.ends_with("\n\n") {
                text.push('\n');
            }
        } else {
            block.extend([line, "\n"]);
        }
    }
    text.truncate(text.trim_end().len());
    text + "\n"
}

/// Tables as lists: of each row the first cell, and what the others say of it.
fn without_tables(markdown: &str) -> String {
    let is_row = |line: &str| line.starts_with("| ");
    let mut text = String::new();
    let mut lines = markdown.lines().peekable();
    while let Some(line) = lines.next() {
        let is_header = is_row(line) && lines.next_if(|next| next.starts_with("| ---")).is_some();
        match line.trim_matches(['|', ' ']).split_once(" | ") {
            _ if is_header => {}
            Some((first, others)) if is_row(line) => {
                text.extend(["- ", first, ": ", &others.replace(" | ", "; "), "\n"]);
            }
            _ => text.extend([line, "\n"]),
        }
    }
    text
}

/// A paragraph, or an item of a list, whose later lines stand below its first word.
fn wrapped(block: &str, terminal: Terminal) -> String {
    let hang = if block.starts_with("- ") { "  " } else { "" };
    let (mut text, mut column) = (String::new(), 0);
    for word in words(block, terminal.colour) {
        if column > 0 && column + 1 + word.len() > usize::from(terminal.width) {
            text.extend(["\n", hang]);
            column = hang.len();
        } else if column > 0 {
            text.push(' ');
            column += 1;
        }
        put(&word, &mut text);
        column += word.len();
    }
    if text.is_empty() { text } else { text + "\n" }
}

type Word = Vec<(char, Style)>;

fn words(block: &str, colour: bool) -> Vec<Word> {
    let (mut words, mut word): (Vec<Word>, Word) = (Vec::new(), Vec::new());
    let (mut bold, mut code) = (false, false);
    let block = without_links(block);
    let mut rest = block.chars().peekable();
    let mut before = ' ';
    while let Some(c) = rest.next() {
        match c {
            '`' => {
                code = !code;
                if !colour {
                    word.push((c, Style::Plain));
                }
            }
            '*' if !code && rest.peek() == Some(&'*') => {
                rest.next();
                bold = !bold;
            }
            // Emphasis; a lone star is a star.
            '*' if !code
                && (before.is_alphanumeric()
                    || rest.peek().is_some_and(|c| c.is_alphanumeric())) => {}
            c if c.is_whitespace() => words.push(std::mem::take(&mut word)),
            c => {
                let style = match (colour, code, bold) {
                    (true, true, _) => Style::Code,
                    (true, false, true) => Style::Bold,
                    _ => Style::Plain,
                };
                word.push((c, style));
            }
        }
        before = c;
    }
    words.push(word);
    words.retain(|word| !word.is_empty());
    words
}

/// `[text](target)` as its text.
fn without_links(text: &str) -> String {
    let mut text = text.to_owned();
    while let Some(middle) = text.find("](") {
        let (Some(open), Some(close)) = (text[..middle].rfind('['), text[middle..].find(')'))
        else {
            break;
        };
        text.replace_range(middle..=middle + close, "");
        text.remove(open);
    }
    text
}

fn put(word: &Word, text: &mut String) {
    let mut now = Style::Plain;
    for &(c, style) in word.iter().chain([&('\0', Style::Plain)]) {
        if style != now {
            text.push_str(match style {
                Style::Plain => "\u{1b}[0m",
                Style::Bold => "\u{1b}[0;1m",
                Style::Code => "\u{1b}[0;36m",
            });
            now = style;
        }
        if c != '\0' {
            text.push(c);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "**Bold words.** A `code word`, a *stress* and a [link](../to/a.md#b)\nin two lines.\n\n\
                        - First item\n  goes on.\n- 2 * 3\n\n```text\nas  it is\n\n**so**\n```\n";

    fn text(width: u16, colour: bool) -> String {
        to_text(PAGE, Terminal { width, colour })
    }

    #[test]
    fn paragraphs_and_items_are_wrapped_and_code_is_left_alone() {
        let expected = "Bold words. A `code word`, a\nstress and a link in two\nlines.\n\n\
                        - First item goes on.\n- 2 * 3\n\n    as  it is\n    \n    **so**\n";
        assert_eq!(text(28, false), expected);
    }

    #[test]
    fn a_table_is_a_list_of_its_rows() {
        let table =
            "Before.\n\n| one | two | three |\n| --- | --- | --- |\n| `a` | b b | c |\n| d | e |\n";
        let expected = "Before.\n\n- `a`: b b; c\n- d: e\n";
        assert_eq!(to_text(table, Terminal { width: 80, colour: false }), expected);
    }

    #[test]
    fn colour_is_an_addition() {
        let coloured = text(80, true);
        assert!(coloured.starts_with("\u{1b}[0;1mBold\u{1b}[0m \u{1b}[0;1mwords.\u{1b}[0m A "));
        let mut plain = String::new();
        for part in coloured.split('\u{1b}') {
            plain.push_str(
                part.split_once('m')
                    .filter(|_| part.starts_with('['))
                    .map_or(part, |(_, rest)| rest),
            );
        }
        assert_eq!(plain, text(80, false).replace('`', ""));
    }
}
