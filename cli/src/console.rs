//! The only place that prints: results to standard output, everything else to standard error.

use campaign::Concluded;
use campaign::observation::Terminal;
use clap::ColorChoice;
use comfy_table::{ColumnConstraint, ContentArrangement, Table, presets};
use indicatif::{ProgressBar, ProgressStyle};
use report::{Extent, Live, live_line, live_panel};
use std::io::{IsTerminal, Write};
use std::sync::OnceLock;
use std::time::Duration;
use tracing_subscriber::EnvFilter;

/// What logs without `RUST_LOG`: errors, and what a push provider of our own takes (see
/// `fracas cluster`).
/// What OpenTelemetry's client says of a collector that is away, once for each batch, is a number of the node.
const FILTER: &str = "error,workload::provider=info,opentelemetry_sdk=off";

/// Errors to standard error; `RUST_LOG` asks for more, `FRACAS_LOG=json` for lines that programs read.
pub fn start_logging() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(FILTER));
    if std::env::var_os("FRACAS_LOG").is_some_and(|form| form == "json") {
        let subscriber = tracing_subscriber::fmt().json().with_env_filter(filter);
        let _ = subscriber.with_writer(|| Log).log_internal_errors(false).try_init();
        return;
    }
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(|| Log)
        // It would print them to standard error, and panic where that takes nothing any more.
        .log_internal_errors(false)
        .with_ansi(in_colour(std::io::stderr().is_terminal()));
    // A second call (in tests) finds the first one's subscriber and leaves it.
    let _ = subscriber.without_time().try_init();
}

/// Takes pieces of the log, one or more whole lines each.
pub type LogSink = Box<dyn Fn(&[u8]) + Send + Sync>;

static LOG_SINK: OnceLock<LogSink> = OnceLock::new();

/// From now on the log goes here instead of to standard error.
pub fn log_to(sink: LogSink) {
    // The first one stays: a process does one thing.
    let _ = LOG_SINK.set(sink);
}

/// Where the log goes.
struct Log;

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        match LOG_SINK.get() {
            Some(sink) => sink(bytes),
            None => return std::io::stderr().write(bytes),
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

static OUTPUT_FAILURE: OnceLock<std::io::Error> = OnceLock::new();

/// A result, on standard output. A closed pipe is no error.
pub fn result(text: &str) {
    let mut output = std::io::stdout().lock();
    let end = if text.ends_with('\n') { "" } else { "\n" };
    let written = write!(output, "{text}{end}").and_then(|()| output.flush());
    if let Err(error) = written
        && error.kind() != std::io::ErrorKind::BrokenPipe
    {
        // The first one counts.
        let _ = OUTPUT_FAILURE.set(error);
    }
}

/// Why a result could not be written.
pub fn output_failure() -> Option<&'static std::io::Error> {
    OUTPUT_FAILURE.get()
}

/// A note for people, on standard error.
pub fn note(text: &str) {
    // The terminal may be gone; there is nobody to tell then.
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// What went wrong.
pub fn error(text: &str) {
    note(&format!("error: {text}"));
}

static COLOUR: OnceLock<ColorChoice> = OnceLock::new();

/// From now on this decides about colour.
pub fn choose_colour(choice: ColorChoice) {
    // The first one stays: a process has one command line.
    let _ = COLOUR.set(choice);
}

/// Whether a stream that is a terminal or is none gets colour.
fn in_colour(is_terminal: bool) -> bool {
    // An empty one counts as none: https://no-color.org
    let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    match COLOUR.get() {
        Some(ColorChoice::Always) => true,
        Some(ColorChoice::Never) => false,
        Some(ColorChoice::Auto) | None => is_terminal && !refused && !is_dumb(),
    }
}

/// A terminal that knows no control sequences.
fn is_dumb() -> bool {
    std::env::var_os("TERM").is_some_and(|name| name == "dumb")
}

/// Whether standard output wants colour, and how wide its tables are.
pub fn terminal() -> Terminal {
    Terminal {
        colour: in_colour(std::io::stdout().is_terminal()),
        width: columns().unwrap_or(100).clamp(40, 160),
    }
}

/// How wide the terminal is; `None` if results go elsewhere.
pub fn columns() -> Option<u16> {
    let given = std::env::var("COLUMNS").ok().and_then(|text| text.parse().ok());
    // Some terminals do not tell.
    given.or_else(|| Table::new().width()).filter(|&columns| columns > 0)
}

/// Columns for a table; elsewhere than on a terminal any number.
pub fn room() -> u16 {
    columns().unwrap_or(u16::MAX)
}

/// A list: a table without lines, of which on a terminal one column wraps. Elsewhere a row is a line.
pub fn list(header: &[&str], rows: Vec<Vec<String>>, wraps: usize) -> String {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).force_no_tty();
    if !header.is_empty() {
        table.set_header(header);
    }
    table.add_rows(rows);
    if let Some(width) = columns() {
        table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width.max(40));
        for column in table.column_iter_mut().filter(|column| column.index != wraps) {
            column.set_constraint(ColumnConstraint::ContentWidth);
        }
    }
    table.trim_fmt()
}

/// The result of a run.
pub fn conclusion(concluded: &Concluded, json: bool) {
    result(&if json { pretty(&concluded.file) } else { concluded.text.clone() });
}

/// A result for programs.
pub fn pretty(value: &impl serde::Serialize) -> String {
    serde_json::to_string_pretty(value).expect("it is plain data")
}

/// What of a run could not be written: after the result, which is what matters.
pub fn unwritten(concluded: &Concluded) {
    concluded.unwritten.iter().for_each(|what| error(what));
}

/// A line that shows how far long work has got: redrawn on a terminal, printed now and then elsewhere.
pub struct ProgressLine {
    bar: Option<ProgressBar>,
    every: Duration,
    last: Option<tokio::time::Instant>,
    quiet: bool,
}

impl ProgressLine {
    /// A progress line; `quiet` shows nothing.
    pub fn new(quiet: bool) -> Self {
        let redraws = std::io::stderr().is_terminal() && !is_dumb();
        let bar = (!quiet && redraws).then(|| {
            let bar = ProgressBar::new_spinner();
            bar.set_style(
                ProgressStyle::with_template("{spinner} {msg}")
                    .unwrap_or_else(|_| ProgressStyle::default_spinner()),
            );
            bar
        });
        Self { bar, every: Duration::from_secs(5), last: None, quiet }
    }

    /// How far it is now.
    pub fn show(&mut self, text: &str) {
        if self.quiet {
            return;
        }
        if let Some(bar) = &self.bar {
            bar.set_message(text.to_owned());
            bar.tick();
            return;
        }
        let now = tokio::time::Instant::now();
        if self.last.is_none_or(|last| now.duration_since(last) >= self.every) {
            self.last = Some(now);
            note(text);
        }
    }

    /// How a real run stands now: several lines on a terminal, one elsewhere.
    pub fn show_live(&mut self, live: &Live, extent: &Extent, recorded: u64) {
        if self.quiet {
            return;
        }
        match &self.bar {
            Some(bar) => {
                bar.set_message(live_panel(live, extent, recorded, terminal().width));
                bar.tick();
            }
            None => self.show(&live_line(live, extent, recorded)),
        }
    }

    /// Nothing more to show.
    pub fn finish(self) {
        if let Some(bar) = self.bar {
            bar.finish_and_clear();
        }
    }
}
