//! Batches and exports of the fake cluster, cut wherever a test wants it.

use super::{FakeCluster, number};
use bytes::Bytes;
use http_body_util::Full;
use hyper::{Response, StatusCode};
use protocol::partition::partition_of;
use protocol::{ConversationId, Sequence, UserId};
use serde_json::{Value, json};

/// Of the cluster.
pub const PARTITIONS: u16 = 4;
/// Entries in one line of an export.
const PART: usize = 3;

/// How exports end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Export {
    /// With their end.
    #[default]
    Whole,
    /// After so many bytes, wherever that is, if they are longer.
    Cut(usize),
    /// Without anything, from this partition on.
    Away(u16),
    /// With this conversation in every partition.
    With(ConversationId),
    /// There are none.
    Unknown,
}

impl FakeCluster {
    /// From now on exports end like this.
    pub fn exports(&self, export: Export) {
        self.state().export = export;
    }

    /// How many exports were asked for.
    pub fn exports_asked(&self) -> u64 {
        self.state().exports
    }

    /// Refuses to make these, once each.
    pub fn refuse(&self, conversations: impl IntoIterator<Item = ConversationId>) {
        self.state().unready.extend(conversations);
    }

    pub(super) fn create(&self, body: &[u8]) -> Value {
        let batch: Value = serde_json::from_slice(body).expect("it is JSON");
        if self.state().export == Export::Unknown {
            return Value::Null;
        }
        let items = batch["conversations"].as_array().expect("it is a list");
        let outcomes: Vec<Value> = items.iter().map(|new| self.create_one(new)).collect();
        json!({ "outcomes": outcomes })
    }

    fn create_one(&self, new: &Value) -> Value {
        let id = ConversationId(new["id"].as_u64().expect("it has a number"));
        let mut state = self.state();
        if state.unready.remove(&id) {
            let problem = json!({ "status": 503, "detail": "no owner" });
            return json!({ "outcome": "refused", "id": id, "problem": problem });
        }
        if let Some(found) = state.conversations.get(&id) {
            let latest = found.members.iter().filter_map(|(user, all)| Some((user, all.last()?)));
            let members: Vec<Value> = latest
                .map(|(user, (joined, left))| json!({ "user": user, "joined": joined, "left": left }))
                .collect();
            return json!({ "outcome": "exists", "id": id, "head": found.head(), "members": members });
        }
        let members: Vec<UserId> =
            serde_json::from_value(new["members"].clone()).expect("they are users");
        for user in members {
            state.conversations.entry(id).or_default();
            state.change_member(id, user, true);
        }
        json!({ "outcome": "created", "id": id, "head": state.conversations[&id].head() })
    }

    pub(super) fn export(&self, partition: &str, query: &str) -> Response<Full<Bytes>> {
        let partition = number(partition) as u16;
        let export = {
            let mut state = self.state();
            state.read_early += u64::from(state.waiting.unwrap_or(0) > 0);
            state.exports += 1;
            state.export
        };
        let mut lines = self.lines(partition, query, export).into_bytes();
        let mut response = Response::new(Full::default());
        match export {
            Export::Cut(bytes) => lines.truncate(bytes),
            Export::Away(first) if partition >= first => {
                *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
            }
            Export::Unknown => *response.status_mut() = StatusCode::NOT_FOUND,
            Export::Whole | Export::Away(_) | Export::With(_) => {}
        }
        *response.body_mut() = Full::from(lines);
        response
    }

    fn lines(&self, partition: u16, query: &str, export: Export) -> String {
        let asked = |name: &str| {
            let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
            number(pairs.find(|(key, _)| *key == name).map_or("0", |(_, value)| value))
        };
        let (from, after) = (ConversationId(asked("from")), asked("after") as usize);
        let is_here = |id: &ConversationId| {
            partition_of(*id, PARTITIONS).0 == partition || export == Export::With(*id)
        };
        let state = self.state();
        let here = state.conversations.range(from..).filter(|(id, _)| is_here(id));
        let mut lines = vec![json!({ "page": { "partition": partition, "owner": 1, "epoch": 1 } })];
        for (id, log) in here {
            let mut left =
                &log.entries[if *id == from { after.min(log.entries.len()) } else { 0 }..];
            loop {
                let (part, rest) = left.split_at(PART.min(left.len()));
                left = rest;
                let (head, first) = (log.head(), Sequence(1));
                let mut line = json!({ "id": id, "head": head, "first": first, "entries": part });
                if left.is_empty() {
                    let cursor = |(user, (delivered, read)): (&UserId, &(Sequence, Sequence))| json!({ "user": user, "delivered": delivered, "read": read });
                    let receipts: Vec<Value> = log.cursors.iter().map(cursor).collect();
                    line["end"] = json!({ "members": [], "receipts": receipts });
                }
                lines.push(json!({ "conversation": line }));
                if left.is_empty() {
                    break;
                }
            }
        }
        lines.push(json!({ "end": { "partition": partition } }));
        lines.iter().fold(String::new(), |text, line| text + &line.to_string() + "\n")
    }
}
