//! Who reads a partition, and how far it is: the text beside a committed offset.
//!
//! Kafka lets any number of consumers read a partition that they assign themselves, and commit for it. So a
//! consumer claims a partition in the metadata of its commits, looks at what is there before each of them,
//! and again and again meanwhile: another claim than its own says that it is lost. Between the look and the
//! commit another one may come; then the two meet at the next look, and what was committed over is only
//! delivered again. Who may write is decided by the store's epoch, not here.

use super::window::Progress;
use std::fmt::Write as _;
use std::time::Duration;

/// A claim that is older was left behind by a consumer that is gone. It is renewed several times as often.
pub const LEASE: Duration = Duration::from_secs(5);
/// A claim of the same epoch that is alive is waited for so long, then taken over: it is an earlier one of
/// the same node, or one that does not know yet that its node is no owner any more.
pub const GRACE: Duration = Duration::from_secs(1);
/// Kafka refuses longer metadata (`offset.metadata.max.bytes`, 4,096 by default).
const TEXT_MAX: usize = 4_000;
/// The form of the text; another one is not read.
const FORM: &str = "1";

/// What a consumer says of a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// Of its owner.
    pub epoch: u64,
    /// Names the consumer; 0: it has given the partition up.
    pub holder: u64,
    /// When this was said, by the holder's clock.
    pub at_ms: u64,
    /// From here on nothing was handed out.
    pub mark: u64,
    /// What is settled.
    pub progress: Progress,
}

/// Whether a partition can be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// It can.
    Granted,
    /// Somebody has it, and is about to give it up or to be taken over.
    Wait,
    /// The consumer of a newer owner has it.
    Refused,
}

/// Whether a consumer of `epoch` that has waited for so long takes a partition with this claim on it.
pub fn access(found: Option<&Claim>, epoch: u64, now_ms: u64, waited: Duration) -> Access {
    let Some(found) = found.filter(|found| found.is_alive(now_ms)) else {
        return Access::Granted;
    };
    if found.epoch > epoch {
        Access::Refused
    } else if found.epoch < epoch || waited >= GRACE {
        Access::Granted
    } else {
        Access::Wait
    }
}

impl Claim {
    /// Clocks of nodes may differ: one that is ahead by more than a lease counts as gone.
    fn is_alive(&self, now_ms: u64) -> bool {
        self.holder != 0 && u128::from(now_ms.abs_diff(self.at_ms)) < LEASE.as_millis()
    }

    /// Whether the consumer `mine` has lost its partition, if this is what it finds on it. A claim of an
    /// earlier epoch is one that came between a look and a commit: it is written over.
    pub fn takes_from(&self, mine: &Self) -> bool {
        self.holder != mine.holder && self.holder != 0 && self.epoch >= mine.epoch
    }

    /// As metadata. If there are too many runs to say all of them, what is behind the last one that is said
    /// counts as not settled, and may come again after an accident.
    pub fn encode(&self) -> String {
        let Self { epoch, holder, at_ms, mark, progress } = self;
        let mut text = format!("{FORM},{epoch:x},{holder:x},{at_ms:x},{mark:x}");
        let mut at = progress.base();
        let mut runs = String::new();
        for run in &progress.open {
            let before = runs.len();
            // Writing to a text cannot fail.
            let _ = write!(runs, ",{:x},{:x}", run.start - at, run.end - run.start);
            if text.len() + runs.len() > TEXT_MAX - 18 {
                runs.truncate(before);
                return text + &format!(",{:x}", run.start - at) + &runs;
            }
            at = run.end;
        }
        let _ = write!(text, ",{:x}", progress.next - at);
        text + &runs
    }

    /// The claim of a commit; `None`: somebody else's text, or none.
    pub fn decode(base: u64, text: &str) -> Option<Self> {
        let mut fields = text.split(',');
        fields.next().filter(|form| *form == FORM)?;
        let mut number = || fields.next().map(|field| u64::from_str_radix(field, 16));
        let mut four = [0; 5];
        for field in &mut four {
            *field = number()?.ok()?;
        }
        let [epoch, holder, at_ms, mark, settled_at_end] = four;
        let (mut at, mut open) = (base, Vec::new());
        while let Some(settled) = number() {
            let (settled, unsettled) = (settled.ok()?, number()?.ok()?);
            let start = at.checked_add(settled)?;
            at = start.checked_add(unsettled)?;
            open.push(start..at);
        }
        let progress = Progress { next: at.checked_add(settled_at_end)?, open };
        Some(Self { epoch, holder, at_ms, mark, progress })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn claim(epoch: u64, holder: u64, at_ms: u64) -> Claim {
        Claim { epoch, holder, at_ms, mark: 0, progress: Progress::at(0) }
    }

    #[test]
    fn the_higher_epoch_takes_at_once_and_an_equal_one_waits() {
        let (none, long) = (Duration::ZERO, GRACE);
        let lease = LEASE.as_millis() as u64;
        for (found, epoch, waited, expected) in [
            (None, 1, none, Access::Granted),
            (Some(claim(5, 7, 1_000)), 6, none, Access::Granted),
            (Some(claim(5, 7, 1_000)), 5, none, Access::Wait),
            (Some(claim(5, 7, 1_000)), 5, long, Access::Granted),
            (Some(claim(5, 7, 1_000)), 4, long, Access::Refused),
            // Given up, left behind, from a clock that is far ahead.
            (Some(claim(5, 0, 1_000)), 4, none, Access::Granted),
            (Some(claim(5, 7, 2_000 + lease)), 4, none, Access::Granted),
            (Some(claim(5, 7, 2_000 + lease - 1)), 4, none, Access::Refused),
        ] {
            let now_ms = 2_000;
            assert_eq!(access(found.as_ref(), epoch, now_ms, waited), expected, "{found:?}");
        }
        assert_eq!(access(Some(&claim(5, 7, 0)), 4, lease, none), Access::Granted);
    }

    #[test]
    fn a_consumer_is_lost_to_a_claim_of_its_epoch_or_a_later_one() {
        let mine = claim(5, 7, 0);
        for (found, lost) in [
            (claim(5, 7, 9), false),
            (claim(5, 8, 0), true),
            (claim(6, 8, 0), true),
            (claim(4, 8, 0), false),
            (claim(6, 0, 0), false),
        ] {
            assert_eq!(found.takes_from(&mine), lost, "{found:?}");
        }
    }

    #[test]
    fn what_is_no_claim_is_not_read() {
        for text in ["", "2,1,1,1,1,0", "1,1,1,1,1", "1,1,1,1,1,0,5", "1,1,1,1,1,x", "hello"] {
            assert_eq!(Claim::decode(0, text), None, "{text}");
        }
        assert_eq!(Claim::decode(u64::MAX, "1,1,1,1,1,1"), None);
    }

    #[test]
    fn what_does_not_fit_counts_as_not_settled() {
        let every_third: Vec<_> = (0..5_000).map(|n| 3 * n..3 * n + 1).collect();
        let progress = Progress { next: 15_000, open: every_third };
        let whole = Claim { progress, mark: 15_000, ..claim(u64::MAX, u64::MAX, u64::MAX) };
        let text = whole.encode();
        assert!(text.len() <= TEXT_MAX && text.len() > TEXT_MAX - 40, "{}", text.len());
        let read = Claim::decode(0, &text).unwrap();
        let said = read.progress.open.len();
        assert_eq!(read.progress.open[..], whole.progress.open[..said]);
        assert_eq!(read.progress.next, whole.progress.open[said].start);
        assert_eq!(Claim { progress: whole.progress.clone(), ..read }, whole);
    }

    proptest! {
        #[test]
        fn a_claim_is_read_back(
            base in 0..u64::MAX / 2,
            runs in prop::collection::vec((1..1_000_u64, 1..1_000_u64), 0..50),
            numbers in any::<[u64; 4]>(),
        ) {
            let [epoch, holder, at_ms, mark] = numbers;
            let (mut at, mut open) = (base, Vec::new());
            for (n, (settled, unsettled)) in runs.into_iter().enumerate() {
                // The first one begins at the base.
                let start = at + if n == 0 { 0 } else { settled };
                at = start + unsettled;
                open.push(start..at);
            }
            let progress = Progress { next: at + 7, open };
            let claim = Claim { epoch, holder, at_ms, mark, progress };
            prop_assert_eq!(Claim::decode(claim.progress.base(), &claim.encode()), Some(claim));
        }

        #[test]
        fn any_text_is_read_or_refused(base in any::<u64>(), text in "[0-9a-f,]{0,60}") {
            let _ = Claim::decode(base, &format!("1,{text}"));
        }
    }
}
