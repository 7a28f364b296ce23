//! The comparison as a table in Markdown.

use crate::generator::Generator;
use crate::run::Took;
use std::fmt::Write as _;

/// What was measured of a generator, or why nothing was.
pub struct Row {
    pub generator: Generator,
    pub runs: Result<Runs, &'static str>,
}

/// Its three runs.
#[derive(Clone, Copy, Debug)]
pub struct Runs {
    pub slow: Took,
    pub fast: Took,
    pub many: Took,
    /// How many more users the last one had.
    pub users: u32,
}

impl Runs {
    /// Microseconds of CPU time for one message more, its answer and its delivery.
    fn message_us(&self) -> Option<f64> {
        let messages = self.fast.counts.accepted.checked_sub(self.slow.counts.accepted)?;
        let cpu = self.fast.cpu.checked_sub(self.slow.cpu)?;
        (messages > 0).then(|| cpu.as_secs_f64() * 1e6 / messages as f64)
    }

    /// Bytes of memory for one user more.
    fn user_bytes(&self) -> Option<u64> {
        Some(self.many.memory.checked_sub(self.slow.memory)? / u64::from(self.users))
    }
}

/// The table. A share is of what Fracas takes.
pub fn table(rows: &[Row]) -> String {
    let mut table =
        "| generator | CPU us per message | messages per second and core | of fracas | \
                     bytes per user |\n| --- | --- | --- | --- | --- |\n"
            .to_owned();
    let ours = rows.iter().find(|row| row.generator == Generator::Fracas);
    let ours = ours.and_then(|row| row.runs.as_ref().ok()?.message_us());
    for Row { generator, runs } in rows {
        let name = generator.name();
        // Writing into a string does not fail.
        let _ = match runs {
            Err(missing) => writeln!(table, "| {name} | {missing} | | | |"),
            Ok(runs) => {
                let us = runs.message_us();
                let number = |of: Option<f64>| of.map_or("?".to_owned(), |it| format!("{it:.0}"));
                let share =
                    us.zip(ours).map_or("?".to_owned(), |(us, ours)| format!("{:.1}", us / ours));
                let bytes = runs.user_bytes().map_or("?".to_owned(), |bytes| bytes.to_string());
                let per_core = number(us.map(|us| 1e6 / us));
                writeln!(table, "| {name} | {} | {per_core} | {share} | {bytes} |", number(us))
            }
        };
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generator::Counts;
    use std::time::Duration;

    #[test]
    fn what_is_paid_once_falls_out() {
        let took = |seconds, memory, accepted| Took {
            cpu: Duration::from_secs(seconds),
            memory,
            counts: Counts { accepted, delivered: accepted },
        };
        let runs = |factor: u64| Runs {
            slow: took(3, 50_000, 1_000),
            fast: took(3 + factor, 60_000, 21_000),
            many: took(4, 50_000 + 700 * factor, 1_000),
            users: 100,
        };
        let rows = [
            Row { generator: Generator::Fracas, runs: Ok(runs(1)) },
            Row { generator: Generator::Goose, runs: Ok(runs(4)) },
            Row { generator: Generator::Locust, runs: Err("not installed") },
        ];
        let text = table(&rows);
        let cells = |at: usize| {
            text.lines().nth(at).unwrap().split('|').skip(2).map(str::trim).collect::<Vec<_>>()
        };
        assert_eq!(cells(2), ["50", "20000", "1.0", "7", ""]);
        assert_eq!(cells(3), ["200", "5000", "4.0", "28", ""]);
        assert_eq!(cells(4), ["not installed", "", "", "", ""]);
    }

    #[test]
    fn less_than_nothing_is_unknown() {
        let took = |seconds, accepted| Took {
            cpu: Duration::from_secs(seconds),
            memory: seconds,
            counts: Counts { accepted, delivered: 0 },
        };
        let runs = Runs { slow: took(5, 10), fast: took(4, 20), many: took(4, 10), users: 1 };
        assert_eq!((runs.message_us(), runs.user_bytes()), (None, None));
    }
}
