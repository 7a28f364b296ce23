//! What looks wrong and is not.

use crate::case::is_sent;
use crate::kind::{Kind, allowed};
use crate::notifications::{forget_notifications, gave_way, missed};
use protocol::{RejectReason, Sequence};
use verify::history::event::{Shed, What};

pub const KINDS: &[Kind] = &[
    allowed("an answer comes twice", "each attempt is answered, with the same sequence", |case| {
        let at = case.event(|is| matches!(is, What::Accepted { .. }))?;
        let again = case.is(at).clone();
        case.insert(at, again);
        Some(())
    }),
    allowed("a send is sent again", "retries are what makes delivery reliable", |case| {
        let at = case.event(|is| matches!(is, What::Sent { .. }))?;
        let What::Sent { device, conversation, message, .. } = *case.truth.is(at) else {
            return None;
        };
        case.insert(at, What::Resent { device, conversation, message });
        Some(())
    }),
    allowed(
        "a send is refused for now, and accepted later",
        "a refusal for now decides nothing",
        |case| {
            let at = case.event(|is| matches!(is, What::Sent { .. }))?;
            let What::Sent { device, conversation, message, .. } = *case.truth.is(at) else {
                return None;
            };
            let reason = RejectReason::RateLimited;
            case.insert(at, What::Rejected { device, conversation, message, reason });
            case.insert(at + 1, What::Resent { device, conversation, message });
            Some(())
        },
    ),
    allowed("a receipt is never seen", "receipts are best effort", |case| {
        let at = case.event(|is| matches!(is, What::ReceiptSeen { .. }))?;
        case.remove(at);
        Some(())
    }),
    allowed("no receipt is ever seen", "receipts are best effort", |case| {
        case.event(|is| matches!(is, What::ReceiptSeen { .. }))?;
        case.retain(|_, is| !matches!(is, What::ReceiptSeen { .. }));
        Some(())
    }),
    allowed("a receipt is seen twice", "a cursor that stays does not fall", |case| {
        let at = case.event(|is| matches!(is, What::ReceiptSeen { .. }))?;
        let again = case.is(at).clone();
        case.insert(at, again);
        Some(())
    }),
    allowed("nothing is known of levels", "a reading that is missing was not made", |case| {
        case.event(|is| matches!(is, What::Gauge { .. }))?;
        case.retain(|_, is| !matches!(is, What::Gauge { .. }));
        Some(())
    }),
    allowed("a level is at its limit", "the limit itself is within bounds", |case| {
        let at = case.event(|is| matches!(is, What::Gauge { limit: 1.., .. }))?;
        if let What::Gauge { value, limit, .. } = case.is(at) {
            *value = *limit;
        }
        Some(())
    }),
    allowed("nothing is known of owners", "entries and answers name them as well", |case| {
        case.event(|is| matches!(is, What::Owner { .. }))?;
        case.retain(|_, is| !matches!(is, What::Owner { .. }));
        Some(())
    }),
    allowed(
        "a conversation was not read at the end",
        "what was not observed makes the verdict unknown",
        |case| {
            let at = case.event(|is| matches!(is, What::StoredAll { .. }))?;
            let What::StoredAll { conversation, .. } = *case.truth.is(at) else { return None };
            case.retain(|_, is| match is {
                What::Stored { entry } => entry.conversation != conversation,
                What::StoredBegan { conversation: c }
                | What::StoredAll { conversation: c, .. }
                | What::StoredCursor { conversation: c, .. } => *c != conversation,
                _ => true,
            });
            Some(())
        },
    ),
    allowed(
        "a final read failed half-way",
        "what was not observed makes the verdict unknown",
        |case| {
            let at = case.event(|is| matches!(is, What::Stored { .. }))?;
            let What::Stored { entry } = *case.truth.is(at) else { return None };
            case.retain(|n, is| {
            n < at
                || !matches!(is, What::Stored { entry: e } if e.conversation == entry.conversation)
        });
            for event in &mut case.history.events {
                if let What::StoredAll { conversation, whole, .. } = &mut event.is
                    && *conversation == entry.conversation
                {
                    *whole = false;
                }
            }
            Some(())
        },
    ),
    allowed("the history breaks off", "nothing is expected of what was not watched", |case| {
        let at = case.event_at(|at, _| at > 0)?;
        case.history.events.truncate(at + 1);
        Some(())
    }),
    allowed(
        "the run is stopped",
        "nothing is expected after the users were last watched",
        |case| {
            let truth = case.truth;
            let at = case.event_at(|at, _| at > 0 && at < truth.judge)?;
            case.history.events.truncate(at + 1);
            case.insert(at, What::Stopped { why: "SIGTERM".into() });
            Some(())
        },
    ),
    allowed(
        "what was accepted last is shown nowhere",
        "its deadline lies behind the end",
        |case| {
            let truth = case.truth;
            let last = truth.accepted.iter().max_by_key(|a| a.at)?;
            let deadlines = truth.sound.header.deadlines;
            if truth.leaves(last.at, deadlines.delivered_us.min(deadlines.stuck_us)) {
                let cut = truth.accepted.iter().filter(|a| a.at > truth.heal);
                let cut: Vec<usize> = cut.map(|a| a.at).collect();
                let at = case.one_of(&cut)?;
                case.history.events.truncate(at + 1);
                return Some(());
            }
            None
        },
    ),
    allowed(
        "the generator met a limit, and nothing is shown any more",
        "the generator may be the cause",
        |case| {
            let heal = case.truth.heal;
            case.retain(|n, is| n < heal || !is_display(is));
            case.insert(heal, What::GeneratorLimited { limit: "EMFILE".into(), times: 3 });
            Some(())
        },
    ),
    allowed(
        "the generator met a limit, and devices are gone",
        "the generator may be the cause",
        |case| {
            let heal = case.truth.heal;
            let device = *case.truth.devices.first()?;
            let is_there = |is: &What| is_display(is) || matches!(is, What::Opened { .. });
            // What nobody reports is told and stored of nobody.
            let is_cursor = |is: &What| match is {
                What::ReceiptSeen { user, .. } => *user == device.user,
                What::StoredCursor { .. } | What::StoredCursorsAll { .. } => true,
                _ => false,
            };
            case.retain(|n, is| {
                n < heal || !(is_cursor(is) || (is.device() == Some(device) && is_there(is)))
            });
            case.insert(heal, What::Closed { device, code: 0 });
            case.insert(0, What::GeneratorLimited { limit: "EADDRNOTAVAIL".into(), times: 3 });
            Some(())
        },
    ),
    allowed(
        "the notifications of a message gave way in a full queue",
        "a bound that is documented, and what it costs is counted",
        |case| {
            let (_, position) = missed(case)?;
            gave_way(case, 1);
            forget_notifications(case, position);
            Some(())
        },
    ),
    allowed(
        "dead letters gave way to newer ones",
        "a bound that is documented, and what it costs is counted",
        |case| {
            let letters = case.truth.all(|is| matches!(is, What::DeadLetter { .. }));
            let (count, node) = (letters.len() as u64, "broker-1".into());
            case.event(|is| matches!(is, What::DeadLetter { .. }))?;
            case.insert(case.truth.heal, What::Shed { node, what: Shed::DeadLetters, count });
            case.retain(|_, is| !matches!(is, What::DeadLetter { .. }));
            for event in &mut case.history.events {
                if let What::InFlight { queue, messages } = &mut event.is
                    && &**queue == "dead"
                {
                    *messages = 0;
                }
            }
            Some(())
        },
    ),
    allowed("a read is refused", "an error is an answer", |case| {
        let began = case.event(|is| matches!(is, What::ReadBegan { .. }))?;
        let What::ReadBegan { device, request, conversation, .. } = *case.truth.is(began) else {
            return None;
        };
        let end = case.truth.sound.events[began..].iter().position(|event| {
            matches!(event.is, What::ReadEnded { device: d, request: r, .. } if (d, r) == (device, request))
        })?;
        *case.is(began + end) = What::ReadFailed { device, request, conversation };
        let until = began + end;
        case.retain(|n, is| {
            n < began
                || n > until
                || !matches!(is, What::Read { device: d, request: r, .. } if (*d, *r) == (device, request))
        });
        Some(())
    }),
    allowed("a read is asked for again", "the same answer is no contradiction", |case| {
        let truth = case.truth;
        let began = case.event_at(|at, is| {
            matches!(is, What::ReadBegan { .. }) && truth.sound.events[at..].len() > 2
        })?;
        let What::ReadBegan { device, request, .. } = *truth.is(began) else { return None };
        let ended = (began..truth.judge).find(|n| {
            matches!(truth.is(*n), What::ReadEnded { device: d, request: r, .. }
                if (*d, *r) == (device, request))
        })?;
        let answer: Vec<What> = (began..=ended)
            .map(|n| truth.is(n).clone())
            .filter(|is| match is {
                What::ReadBegan { request: r, .. }
                | What::Read { request: r, .. }
                | What::ReadEnded { request: r, .. } => {
                    *r == request && is.device() == Some(device)
                }
                _ => false,
            })
            .collect();
        for is in answer.into_iter().rev() {
            case.insert(ended, is);
        }
        Some(())
    }),
    allowed(
        "two devices show in another order",
        "only what one device shows has an order",
        |case| {
            let truth = case.truth;
            let at = case.event_at(|at, is| {
                let next = truth.sound.events.get(at + 1);
                match (is, next.map(|event| &event.is)) {
                    (What::Shown { device, .. }, Some(What::Shown { device: other, .. })) => {
                        device != other
                    }
                    _ => false,
                }
            })?;
            let (one, other) = (truth.is(at).clone(), truth.is(at + 1).clone());
            (*case.is(at), *case.is(at + 1)) = (other, one);
            Some(())
        },
    ),
    allowed(
        "a stream begins further back, and its device drops what it has shown",
        "what is dropped is not shown twice",
        |case| {
            let truth = case.truth;
            let at = case.event_at(|at, is| {
                let What::Attached { device, conversation, from, .. } = is else { return false };
                let before = (0..at).rev().find_map(|n| match truth.is(n) {
                    What::Shown { device: d, entry }
                        if (*d, entry.conversation) == (*device, *conversation) =>
                    {
                        Some(entry.sequence)
                    }
                    What::Detached { device: d, conversation: c }
                        if (d, c) == (device, conversation) =>
                    {
                        Some(Sequence(0))
                    }
                    _ => None,
                });
                before == Some(*from) && from.0 > 1
            })?;
            let What::Attached { device, conversation, from, .. } = *truth.is(at) else {
                return None;
            };
            let entry = *truth.stored.get(&(conversation, from))?;
            if let What::Attached { from, .. } = case.is(at) {
                *from = Sequence(from.0 - 1);
            }
            case.insert(at, What::Received { device, entry });
            Some(())
        },
    ),
    allowed(
        "a notification is handed over, refused, and handed over again",
        "the provider asked for another try",
        |case| {
            let at = case.event(|is| matches!(is, What::Pushed { taken: true, .. }))?;
            let mut refused = case.is(at).clone();
            if let What::Pushed { taken, .. } = &mut refused {
                *taken = false;
            }
            case.insert(at - 1, refused);
            Some(())
        },
    ),
    allowed(
        "what was accepted is refused at a retry by a gateway",
        "a gateway refuses without asking whether the id was decided",
        |case| {
            let a = crate::acceptances::accepted(case)?;
            crate::acceptances::resend(case, a, a.at);
            let reason = protocol::RejectReason::BodySize;
            crate::acceptances::refuse(case, a, a.at + 1, reason)
        },
    ),
    allowed("a node is killed and starts again", "only a panic is a panic", |case| {
        let at = case.event_at(|at, _| at > 0)?;
        case.insert(at, What::NodeStarted { node: "store-1".into() });
        Some(())
    }),
    allowed("an attached head lags behind", "the device loses nothing by it", |case| {
        let at = case.event(|is| matches!(is, What::Attached { .. }))?;
        if let What::Attached { from, head, .. } = case.is(at) {
            *head = *from;
        }
        Some(())
    }),
    allowed(
        "a text has another hash, wherever it is sent and seen",
        "texts mean nothing to the judge",
        |case| {
            let entry = *case.truth.stored.values().find(|entry| is_sent(entry))?;
            let by = case.draw(1 << 40) + 1;
            crate::observations::rewrite_message(case, &entry, |said| {
                if let verify::history::event::Said::Message { hash, .. } = said {
                    *hash ^= by;
                }
            })
        },
    ),
    allowed(
        "a session ends when the users are watched no more",
        "that is the end of the run",
        |case| {
            let (judge, devices) = (case.truth.judge, case.truth.devices.clone());
            let device = case.one_of(&devices)?;
            case.insert(judge, What::Closed { device, code: 1_000 });
            Some(())
        },
    ),
];

/// Whether somebody sees something, or tells of it.
const fn is_display(is: &What) -> bool {
    matches!(
        is,
        What::Shown { .. }
            | What::Attached { .. }
            | What::Detached { .. }
            | What::ReceiptSent { .. }
            | What::ReceiptSeen { .. }
            | What::StoredCursor { .. }
            | What::StoredCursorsAll { .. }
    )
}
