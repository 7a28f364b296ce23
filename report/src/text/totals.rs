//! The counts of a run as rows, in the order in which a reader asks for them.

use crate::measured::Measured;
use protocol::CloseCode;

/// Name and value; what is zero and only interesting otherwise is left out.
pub(crate) fn totals(measured: &Measured) -> Vec<(String, u64)> {
    let totals = &measured.totals;
    let mut rows = vec![
        ("messages sent".to_owned(), totals.messages),
        ("edits sent".to_owned(), totals.edits),
        ("deletions sent".to_owned(), totals.deletes),
        ("accepted".to_owned(), totals.accepted),
        ("delivered to other devices".to_owned(), totals.delivered),
        ("sent again".to_owned(), totals.resent),
        ("unanswered at the end".to_owned(), totals.unanswered),
        ("sessions opened".to_owned(), totals.opened),
        ("most devices connected at once".to_owned(), totals.connected_max),
        ("faults".to_owned(), totals.faults),
        ("events of the history".to_owned(), totals.events),
    ];
    let rejected = totals.rejected.iter();
    let rejected = rejected.map(|(reason, count)| (format!("rejected: {reason}"), *count));
    let closed = totals.closed.iter().map(|(code, count)| (closed(*code), *count));
    let shed = totals.shed.iter();
    let shed = shed.map(|(what, count)| (format!("given up, for want of room: {what}"), *count));
    let rare = [
        ("accepted again, after a resend", totals.accepted_again),
        ("caught up by devices or members that came later", totals.caught_up),
        ("connection attempts that failed", totals.connects_failed),
        ("pages of stored entries read", totals.pages_read),
        ("cursor reports sent", totals.receipts_sent),
        ("cursor reports seen", totals.receipts_seen),
        ("members who joined or left", totals.members_changed),
        ("notifications pushed", totals.pushed),
        ("dead letters", totals.dead_letters),
        ("entries in the store at the end", totals.stored),
        ("announcements of a partition's owner", totals.owners),
        ("without a latency: intended time forgotten", totals.untimed),
        ("latencies above ten minutes", totals.clipped),
    ];
    let rare = rare.into_iter().map(|(name, count)| (name.to_owned(), count));
    rows.extend(rejected.chain(closed).chain(rare).chain(shed).filter(|(_, count)| *count > 0));
    rows
}

fn closed(code: u16) -> String {
    match (code, CloseCode::from_code(code)) {
        (0, _) => "sessions ended: connection lost".to_owned(),
        (_, Some(known)) => format!("sessions ended: {code} {known:?}"),
        (_, None) => format!("sessions ended: {code}"),
    }
}
