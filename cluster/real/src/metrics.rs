//! What every number at `/metrics` means. `docs/running.md` lists the same.

/// A name as roles report it, and its meaning.
pub type Meaning = (&'static str, &'static str);

/// They only rise; shown with `_total`.
pub const COUNTERS: &[Meaning] = &[
    ("auth_issuer_fetches_failed_total", "Fetches of an outside issuer's keys that failed"),
    (
        "auth_polls_failed_total",
        "Polls of keys and revocations that the auth service did not answer",
    ),
    ("auth_journal_compactions_total", "Times that the journal was written anew"),
    ("auth_requests_refused_total", "Token requests that were refused"),
    ("auth_requests_total", "Requests to the auth service, by `operation` and `status`"),
    ("auth_tokens_issued_total", "Token requests that were granted"),
    ("auth_users_revoked_total", "Users whose tokens were revoked as a whole"),
    ("broker_blocked", "Times that RabbitMQ said that it takes no messages"),
    ("broker_confirmed_messages", "Messages whose publication was confirmed"),
    ("broker_dead_lettered_messages", "Messages that became dead letters"),
    ("broker_dropped_messages", "Messages to gateways that were dropped; the gateways repair"),
    ("broker_failed_commits", "Writes to the log that failed"),
    ("broker_links_lost", "Links of other nodes to the broker that were lost"),
    ("broker_lost_messages", "Messages that Kafka no longer had when they were to be read"),
    ("broker_log_compactions", "Times that old segments of the log were written again and removed"),
    ("broker_refused_messages", "Messages that a full queue refused; their publishers come back"),
    ("broker_shed_dead_letters", "Dead letters that gave way to newer ones, or found no room"),
    (
        "broker_shed_notifications",
        "Messages whose notifications gave way to newer ones in a full queue, or found no room",
    ),
    ("broker_rotated_segments", "Segments of the log that were begun behind others"),
    ("broker_published_messages", "Messages that were taken into a queue"),
    ("broker_redelivered_messages", "Deliveries that were not the first of their message"),
    (
        "broker_unconfirmed_messages",
        "Messages whose publication was refused, or of which it is not known",
    ),
    ("gateway_closes_draining", "Sessions closed by a shutdown (4500)"),
    ("gateway_closes_full", "Sessions closed for want of room (4501)"),
    ("gateway_closes_hello_timeout", "Sessions closed without a hello (4408)"),
    ("gateway_closes_idle_timeout", "Sessions closed for silence (4409)"),
    ("gateway_closes_malformed", "Sessions closed for what could not be decoded (4400)"),
    ("gateway_closes_normal", "Sessions that said goodbye (1000)"),
    ("gateway_closes_out_of_order", "Sessions closed for a missing or second hello (4402)"),
    ("gateway_closes_rate_limited", "Sessions closed for too many frames (4429)"),
    ("gateway_closes_replaced", "Sessions replaced by another of the same device (4410)"),
    ("gateway_closes_slow_consumer", "Sessions closed for reading too slowly (4411)"),
    ("gateway_closes_too_big", "Sessions closed for a message that was too large (1009)"),
    ("gateway_closes_unauthenticated", "Sessions closed for their token (4401)"),
    ("gateway_closes_unavailable", "Sessions closed because the cluster did not answer (4503)"),
    (
        "gateway_dropped_state_frames",
        "Receipts, typing and presence that were not told to a session with a nearly full queue",
    ),
    (
        "gateway_evicted_entries",
        "Entries that a stream could not keep; they are read from the owner",
    ),
    ("gateway_frames_in", "Frames from clients"),
    ("gateway_frames_out", "Frames to clients"),
    (
        "gateway_refused_strangers",
        "Sessions closed because their address had its share of those without a hello (of the 4501)",
    ),
    ("gateway_rejections", "Sends, edits and deletions that were rejected"),
    ("gateway_unanswered_sends", "Of these, messages without a decision for 10 s: `unavailable`"),
    ("gateway_repairs", "Reads at the owners that filled a gap in a stream"),
    ("gateway_rest_requests", "REST requests, by `method`, `route` and `status`"),
    ("link_failed_accepts_total", "Connections that could not be accepted, for now"),
    (
        "link_refused_connections_total",
        "Connections closed at once, because their address had its share of them",
    ),
    ("link_stalled_connections_total", "Connections closed because their peer took no answer"),
    ("notifier_breaker_opened_total", "Times that the push provider was given a rest"),
    ("notifier_dead_lettered_total", "Notifications that became dead letters"),
    ("notifier_discarded_total", "Notifications that were discarded: there is no push provider"),
    ("notifier_held_total", "Attempts that failed with the provider, and do not count"),
    ("notifier_needless_total", "Notifications that were not needed any more"),
    ("notifier_pushed_total", "Notifications that the provider took"),
    ("notifier_repeated_total", "Notifications that the provider had taken before"),
    ("notifier_retried_total", "Attempts that failed and will be repeated"),
    ("notifier_subscribe_failed_total", "Subscriptions that the broker did not answer"),
    ("notifier_undecodable_total", "Notifications that could not be read"),
    ("store_commands", "Commands that were applied"),
    ("store_commits_repeated", "Group commits that failed and were made again"),
    ("store_dropped_notices", "Presence and typing notices that were dropped"),
    (
        "store_dropped_records",
        "Records for gateways that direct fan-out dropped: no link, or no room; the gateways repair",
    ),
    (
        "store_evicted_conversations",
        "Conversations that were put out of memory; they are read again",
    ),
    ("store_failed_reads", "Reads that the engine did not answer, or not in time"),
    ("store_refused_calls", "Requests, cursors and attachments for which an owner had no room"),
    (
        "store_shed_notifications",
        "Entries that somebody missed on a dead connection and is not pushed: there were too many",
    ),
    ("store_windows_filled", "Times that an owner began to wait for its publications"),
    ("store_publications_repeated", "Publications that were made again for want of a confirm"),
    ("traces_spans_lost", "Steps of messages that no collector took"),
    ("traces_spans_sent", "Steps of messages that a collector took"),
];

/// They rise and fall.
pub const GAUGES: &[Meaning] = &[
    ("auth_refresh_families", "Logins with a refresh token that can still be used"),
    ("broker_dead_letters", "Dead letters"),
    ("broker_gateway_queue_messages", "Messages waiting in the fullest queue of a gateway"),
    ("broker_log_bytes", "Bytes of the log on the disk"),
    ("broker_notify_queue_messages", "Notifications in their fullest queue"),
    ("broker_queue_messages", "Messages in the fullest durable queue, notifications excepted"),
    ("broker_unsettled_messages", "Messages that were delivered and not settled"),
    ("fracas_limit", "The limit of the gauge that the label of names"),
    ("gateway_greeting_sessions", "Sessions that have not said hello"),
    ("gateway_session_queue_bytes", "Bytes waiting for the slowest session"),
    ("gateway_session_queue_frames", "Frames waiting for the slowest session"),
    ("gateway_sessions", "Open sessions"),
    ("notifier_jobs_in_hand", "Notifications that were delivered to the notifier and not settled"),
    ("store_commands_waiting", "Commands waiting for the owner"),
    ("store_gateway_queue_bytes", "Bytes waiting for one gateway at most, with direct fan-out"),
    (
        "tls_certificate_expires_timestamp_seconds",
        "When the node's certificate runs out, in seconds since 1970",
    ),
];

/// Durations: a histogram with `_bucket`, `_sum` and `_count`; shown with `_seconds`.
pub const TIMES: &[Meaning] = &[
    (
        "auth_request_seconds",
        "A request to the auth service, from its head to its answer, by `operation`",
    ),
    ("broker_commit", "A group commit of the broker's log"),
    (
        "broker_publish",
        "A publication of several messages at once, until they are confirmed or not",
    ),
    (
        "gateway_rest_seconds",
        "A REST request, from its head to its answer, by `method` and `route`",
    ),
    ("gateway_send", "A send, edit or deletion, from its frame to the answer, if it was published"),
    ("notifier_provider_seconds", "An answer of the push provider"),
    ("store_checkpoint", "A checkpoint of the store's log into its tree"),
    ("store_commit", "A group commit of the store, with the attaches behind it"),
    ("store_read", "A read of a gateway or service at the store"),
];

/// The upper bounds of the buckets of every duration, in seconds: those of `fracas_load_accept_seconds`, so that
/// what users and what nodes see stands on one scale.
///
/// A commit to a local disk or a token takes a millisecond or a few, a good answer less than 250 ms, and after
/// 10 s a sender is told `unavailable`; beyond 30 s nobody waits. Two or three bounds in each power of ten tell a
/// quantile to a factor of 2.5 at worst, and more would cost a series each, for every node and route.
pub const BUCKETS: [f64; 14] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];

/// Tells the recorder of this process.
pub fn describe() {
    for (name, meaning) in COUNTERS {
        metrics::describe_counter!(*name, *meaning);
    }
    for (name, meaning) in GAUGES {
        metrics::describe_gauge!(*name, *meaning);
    }
    for (name, meaning) in TIMES {
        metrics::describe_histogram!(*name, metrics::Unit::Seconds, *meaning);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use std::path::{Path, PathBuf};

    const PAGE: &str = include_str!("../../../docs/running.md");
    /// The roles, and what they share.
    const ROLES: [&str; 7] = ["auth", "broker", "gateway", "link", "notifier", "store", "traces"];
    /// What else numbers begin with.
    const TLS: &str = "tls";

    fn names(meanings: &[Meaning]) -> BTreeSet<String> {
        meanings.iter().map(|(name, _)| (*name).to_owned()).collect()
    }

    /// Every Rust file of a role, tests excluded.
    fn sources(directory: &Path, found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(directory).expect("a source directory") {
            let path = entry.expect("an entry").path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if path.is_dir() && name != "tests" {
                sources(&path, found);
            } else if path.extension().is_some_and(|kind| kind == "rs") && name != "tests.rs" {
                found.push(path);
            }
        }
    }

    /// The words in quotation marks of a role's sources that have the form of its numbers.
    fn reported() -> BTreeSet<String> {
        let mut files = Vec::new();
        // What stands in for the broker reports under its name, and some of it is common to all.
        for folder in ROLES.into_iter().chain(["rabbitmq", "kafka", "ports"]) {
            let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
            sources(&manifest.join("..").join(folder).join("src"), &mut files);
        }
        sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(TLS), &mut files);
        let mut reported = BTreeSet::new();
        for file in files {
            let text = std::fs::read_to_string(file).expect("readable");
            for word in text.split('"') {
                let is_name = word.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
                let of_a_role = ROLES
                    .iter()
                    .chain([&TLS])
                    .any(|role| word.strip_prefix(role).is_some_and(|rest| rest.starts_with('_')));
                if is_name && of_a_role {
                    reported.insert(word.to_owned());
                }
            }
        }
        reported
    }

    #[test]
    fn every_number_that_is_reported_has_a_meaning_and_no_other_has_one() {
        let mut known = names(COUNTERS);
        known.extend(names(GAUGES));
        known.extend(names(TIMES));
        known.remove("fracas_limit");
        let reported = reported();
        assert!(reported.len() > 50, "the sources were read: {reported:?}");
        assert_eq!(reported, known);
    }

    #[test]
    fn every_number_stands_on_the_page_as_it_is_shown() {
        let shown = |name: &str, suffix: &str| {
            let name = name.strip_suffix(suffix).unwrap_or(name);
            format!("| `{name}{suffix}` |")
        };
        for (meanings, suffix) in [(COUNTERS, "_total"), (GAUGES, ""), (TIMES, "_seconds")] {
            for (name, meaning) in meanings {
                let row = format!("{} {meaning} |", shown(name, suffix));
                assert!(PAGE.contains(&row), "{row}");
            }
        }
    }
}
