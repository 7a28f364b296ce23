//! `latency.hlog`: all latencies of a run as HdrHistograms, to be merged with those of other runs.
//!
//! The format is HdrHistogram's interval log (version 1.3), which its own tools read: one line per second
//! and tag with start and length of the interval in seconds since the run began, the highest value, and
//! the histogram (V2, compressed, base64). Values are microseconds. The tags are `accept_calm`,
//! `accept_under_faults`, `deliver_calm`, `deliver_under_faults`, `request_calm` and `request_under_faults`;
//! the sum of all lines of the first two is the latency until accepted of the whole run, of the next two
//! until shown elsewhere, of the last two that of the requests of the REST interface. An interval in which nothing was measured has no line. What was never answered is in the last interval. Values above
//! ten minutes count as ten minutes.

use crate::measure::latency::{Distribution, Split};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hdrhistogram::serialization::interval_log::{
    IntervalLogIterator, IntervalLogWriterBuilder, IntervalLogWriterError, LogEntry,
    LogIteratorError, Tag,
};
use hdrhistogram::serialization::{Deserializer, V2DeflateSerializer};
use std::io::{self, Write};
use std::time::Duration;

/// The name of the log in a run's folder.
pub const LATENCY_LOG: &str = "latency.hlog";

/// What is timed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Accept,
    Deliver,
    Request,
}

/// Each tag, what is timed, and whether under faults.
const TAGS: [(&str, Kind, bool); 6] = [
    ("accept_calm", Kind::Accept, false),
    ("accept_under_faults", Kind::Accept, true),
    ("deliver_calm", Kind::Deliver, false),
    ("deliver_under_faults", Kind::Deliver, true),
    ("request_calm", Kind::Request, false),
    ("request_under_faults", Kind::Request, true),
];

const HEAD: &str = "#[Histogram log format version 1.3]\n\
                    #[Latencies of a run of Fracas, in microseconds; times in seconds since its beginning]\n\
                    \"StartTimestamp\",\"Interval_Length\",\"Interval_Max\",\"Interval_Compressed_Histogram\"\n";

/// Writes a log.
pub(crate) struct LatencyLog {
    out: Box<dyn Write + Send>,
    serializer: V2DeflateSerializer,
    /// Why the log is not whole: nothing is written after that.
    failure: Option<io::Error>,
}

impl LatencyLog {
    pub(crate) fn new(mut out: Box<dyn Write + Send>) -> Self {
        let failure = out.write_all(HEAD.as_bytes()).err();
        Self { out, serializer: V2DeflateSerializer::new(), failure }
    }

    /// Writes an interval, from and to so many microseconds.
    pub(crate) fn write(&mut self, kind: Kind, span: (u64, u64), split: &Split) {
        for (tag, of, under_fault) in TAGS {
            let distribution = if under_fault { &split.under_fault } else { &split.calm };
            if of == kind && !distribution.is_empty() && self.failure.is_none() {
                self.failure = self.write_line(tag, span, distribution).err();
            }
        }
    }

    fn write_line(
        &mut self,
        tag: &str,
        (from_us, to_us): (u64, u64),
        distribution: &Distribution,
    ) -> io::Result<()> {
        let (from, lasts) =
            (Duration::from_micros(from_us), Duration::from_micros(to_us - from_us));
        let mut log =
            IntervalLogWriterBuilder::new().begin_log_with(&mut self.out, &mut self.serializer)?;
        log.write_histogram(distribution.histogram(), from, lasts, Tag::new(tag)).map_err(|error| {
            match error {
                IntervalLogWriterError::IoError(error) => error,
                IntervalLogWriterError::SerializeError(error) => io::Error::other(error),
            }
        })
    }

    /// Whether all of it was written.
    pub(crate) fn finish(mut self) -> io::Result<()> {
        self.failure.map_or_else(|| self.out.flush(), Err)
    }
}

/// Why a log cannot be read.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadLog {
    /// It is no log, or torn.
    #[error("it is no interval log of HdrHistogram from byte {0} on")]
    NoLog(usize),
    /// A line has no histogram that Fracas writes.
    #[error("line {line} has no histogram of latencies: {what}")]
    NoHistogram {
        /// The number of the line among those with histograms, from 1.
        line: usize,
        /// What is wrong with it.
        what: String,
    },
}

/// The latencies of a run, read back.
#[derive(Clone, Debug)]
pub(crate) struct Logged {
    /// Until accepted.
    pub(crate) accept: Split,
    /// Until shown elsewhere.
    pub(crate) deliver: Split,
    /// Of the requests of the REST interface.
    pub(crate) requests: Split,
}

impl Logged {
    pub(crate) fn new() -> Self {
        Self { accept: Split::new(), deliver: Split::new(), requests: Split::new() }
    }
}

/// The latencies of a whole run, and of its intervals that begin at a moment or later.
pub(crate) fn read(log: &[u8], since: Duration) -> Result<(Logged, Logged), BadLog> {
    let (mut run, mut later) = (Logged::new(), Logged::new());
    let mut deserializer = Deserializer::new();
    let mut line = 0;
    for entry in IntervalLogIterator::new(log) {
        let entry =
            entry.map_err(|LogIteratorError::ParseError { offset }| BadLog::NoLog(offset))?;
        let LogEntry::Interval(interval) = entry else { continue };
        line += 1;
        let bad = |what: &str| BadLog::NoHistogram { line, what: what.to_owned() };
        let tag = interval.tag().map_or("", |tag| tag.as_str());
        let (_, kind, under_fault) = TAGS
            .into_iter()
            .find(|(known, ..)| *known == tag)
            .ok_or_else(|| bad(&format!("its tag is \"{tag}\"")))?;
        let bytes = BASE64.decode(interval.encoded_histogram()).map_err(|e| bad(&e.to_string()))?;
        let histogram = deserializer
            .deserialize(&mut bytes.as_slice())
            .map_err(|error| bad(&error.to_string()))?;
        let is_later = interval.start_timestamp() >= since;
        for logged in std::iter::once(&mut run).chain(is_later.then_some(&mut later)) {
            let split = match kind {
                Kind::Accept => &mut logged.accept,
                Kind::Deliver => &mut logged.deliver,
                Kind::Request => &mut logged.requests,
            };
            let into = if under_fault { &mut split.under_fault } else { &mut split.calm };
            if !into.add_histogram(&histogram) {
                return Err(bad("its values are out of bounds"));
            }
        }
    }
    Ok((run, later))
}

#[cfg(test)]
mod tests {
    use super::{BadLog, HEAD, Logged, read};
    use crate::measure::Measurements;
    use crate::measured::{Measured, Steady};
    use crate::sample::{accepted_after, header};
    use proptest::prelude::*;
    use std::io::{self, Write};
    use std::sync::{Arc, Mutex};
    use std::time::Duration;
    use verify::history::event::{Event, Phase, What};

    /// What was written, for whoever kept a copy.
    #[derive(Clone, Default)]
    struct Shared(Arc<Mutex<Vec<u8>>>);

    impl Write for Shared {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().expect("one thread").extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(events: &[(u64, What)]) -> (Measured, String) {
        let out = Shared::default();
        let log = Box::new(out.clone());
        let mut measurements = Measurements::new(&header(3, 2)).logged_to(log).of_one_rate();
        for (at, is) in events {
            measurements.observe(&Event { at: *at, is: is.clone() });
        }
        let (measured, written) = measurements.finish_logged();
        written.expect("memory takes all");
        let text = String::from_utf8(out.0.lock().expect("one thread").clone());
        (measured, text.expect("the format is text"))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn what_is_read_back_has_the_percentiles_of_the_run(
            mut latencies in prop::collection::vec((0_u64..9_000_000, 1_u64..2_000_000), 0..30)
        ) {
            latencies.sort_unstable();
            let events = accepted_after(&latencies);
            let (measured, log) = logged(&events);
            let whole = read(log.as_bytes(), Duration::ZERO).expect("what was just written").1;
            let Logged { accept, deliver, .. } = whole;
            prop_assert_eq!(accept.calm.len(), measured.accept.calm.count);
            prop_assert_eq!(accept.under_fault.len(), measured.accept.under_fault.count);
            let (read, want) = (accept.all().percentiles(), measured.accept.all);
            // The highest value of a histogram is known to a part in a thousand.
            prop_assert_eq!((read.count, read.p50_us.is_some()), (want.count, want.p50_us.is_some()));
            for (read, want) in [(read.p50_us, want.p50_us), (read.p999_us, want.p999_us)] {
                let (read, want) = (read.unwrap_or(0), want.unwrap_or(0));
                prop_assert!(read >= want && read <= want + want / 1_000 + 1, "{read} for {want}");
            }
            prop_assert!(deliver.all().is_empty());
        }
    }

    #[test]
    fn what_is_behind_the_warm_up_is_the_same_in_the_log() {
        // Ten answers a second: slow for three seconds, then quick.
        let took = |tenth: u64| if tenth < 30 { 700_000 } else { 9_000 + tenth % 7 * 100 };
        let latencies: Vec<_> = (0..400).map(|tenth| (tenth * 100_000, took(tenth))).collect();
        let mut events = accepted_after(&latencies);
        events.insert(0, (0, What::Phase(Phase::Load)));
        let (measured, log) = logged(&events);
        let Some(Steady::From { at_us, warm_up_s }) = measured.steady else {
            panic!("{:?}", measured.steady)
        };
        assert!((3..=5).contains(&warm_up_s) && at_us == u64::from(warm_up_s) * 1_000_000);
        let (run, later) =
            read(log.as_bytes(), Duration::from_micros(at_us)).expect("just written");
        let steady = measured.accept.steady.expect("there is a steady state");
        assert_eq!(run.accept.len(), measured.accept.all.count);
        assert_eq!(later.accept.len(), steady.count);
        assert!(steady.max_us < Some(20_000) && measured.accept.all.max_us > Some(600_000));
    }

    #[test]
    fn a_line_holds_a_second() {
        let (_, log) = logged(&accepted_after(&[(100, 900), (200, 2_500_000), (2_600_000, 300)]));
        let rest = log.strip_prefix(HEAD).expect("the head comes first");
        let starts: Vec<_> =
            rest.lines().map(|line| line.rsplit_once(',').expect("four").0).collect();
        assert_eq!(
            starts,
            ["Tag=accept_calm,0.000,1.000,900.000", "Tag=accept_calm,2.000,1.000,2500607.000",]
        );
    }

    #[test]
    fn what_is_no_log_is_refused() {
        let (_, log) = logged(&accepted_after(&[(100, 900)]));
        let torn = &log[..log.len() - 7];
        assert!(matches!(read(torn.as_bytes(), Duration::ZERO).err(), Some(BadLog::NoLog(_))));
        assert!(matches!(
            read(b"nothing of this kind\n", Duration::ZERO).err(),
            Some(BadLog::NoLog(0))
        ));
        let strange = log.replace("accept_calm", "read_calm");
        let told = read(strange.as_bytes(), Duration::ZERO).expect_err("refused").to_string();
        assert!(told.contains("its tag is \"read_calm\""), "{told}");
        let damaged = log.replace("900.000,HIST", "900.000,HISX");
        let told = read(damaged.as_bytes(), Duration::ZERO).expect_err("refused").to_string();
        assert!(told.starts_with("line 1 has no histogram"), "{told}");
    }
}
