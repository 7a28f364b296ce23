//! `fracas history`: the history of a simulated run on standard output, for `twin` and for pipes.

use crate::opening::OpeningOfOne;
use clap::Args;
use ports::entered;
use std::io::{BufWriter, Write};
use std::sync::{Arc, Mutex};
use verify::history::Writer;
use verify::history::event::Engine;

/// Print the history of a simulated run.
#[derive(Debug, Args)]
pub struct PrintHistory {
    #[command(flatten)]
    opening: OpeningOfOne,
    /// The seed.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

impl PrintHistory {
    /// Prints it. A reader that goes away ends the process, as it would any other filter.
    pub fn execute(self) -> anyhow::Result<u8> {
        let scenario = Arc::new(self.opening.open(self.seed)?.scenario);
        let header = loadgen::header(&scenario, self.seed, Engine::Simulated);
        let output = BufWriter::with_capacity(1 << 16, std::io::stdout());
        let writer = Arc::new(Mutex::new(Writer::plain(output, &header)?));
        let sink = writer.clone();
        let run = sim::run(
            scenario,
            self.seed,
            Box::new(move |event| {
                let mut writer = entered(sink.lock());
                if writer.write(event).is_err() {
                    std::process::exit(0);
                }
            }),
        );
        let ended = run.follow(|_| {});
        let writer = Arc::into_inner(writer).and_then(|writer| writer.into_inner().ok());
        if let Some(writer) = writer {
            writer.finish()?.flush()?;
        }
        for doubt in &ended.doubts {
            crate::console::error(doubt);
        }
        Ok(if ended.doubts.is_empty() { 0 } else { 2 })
    }
}
