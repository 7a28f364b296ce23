//! Conversations in bulk: made by the hundred, read a partition at a time.

use super::fakes::PARTITIONS;
use super::requests::word;
use super::schema::Document;
use super::{Reply, World};
use axum::http::header;
use ports::CallError;
use protocol::limits::{self, GatewayLimits};
use protocol::partition::partition_of;
use protocol::store_calls::ReceiptItem;
use protocol::{Content, ConversationId, Sequence, UserId};
use serde_json::{Value, json};

const BATCH: &str = "/v1/conversations:batch";

fn direct(id: u64) -> Value {
    json!({"id": id, "kind": "direct", "members": [id, id + 1]})
}

async fn batch(world: &World, token: &str, items: &[Value]) -> Reply {
    world.ask("POST", BATCH, token, &json!({ "conversations": items }).to_string()).await
}

#[tokio::test(start_paused = true)]
async fn each_conversation_has_an_outcome_of_its_own() {
    let world = World::new();
    let items: Vec<_> = (1..=3).map(direct).collect();
    let made = batch(&world, "admin", &items).await;
    assert_eq!(made.status, 200, "{made:?}");
    let created = |id| json!({"outcome": "created", "id": id, "head": 2});
    assert_eq!(made.body, json!({"outcomes": [created(1), created(2), created(3)]}));
    world.owner.say(3, 3, Content::Message { body: "hello".into(), reply_to: None });
    let other = json!({"id": 2, "kind": "group", "members": [2]});
    let again = batch(&world, "admin", &[other, direct(3), direct(4)]).await;
    let outcomes = again.body["outcomes"].as_array().unwrap();
    let problem = &outcomes[0]["problem"];
    assert_eq!((&outcomes[0]["id"], &problem["status"]), (&json!(2), &json!(409)));
    let members = [(3, 1), (4, 2)]
        .map(|(user, joined)| json!({"user": user, "joined": joined, "left": null}));
    assert_eq!(outcomes[1], json!({"outcome": "exists", "id": 3, "head": 3, "members": members}));
    assert_eq!(outcomes[2], created(4));
    for (failure, status) in [(CallError::Unavailable, 503), (CallError::Unknown, 504)] {
        *world.owner.failure.lock().unwrap() = Some(failure);
        let reply = batch(&world, "admin", &[direct(5)]).await;
        let outcome = &reply.body["outcomes"][0];
        assert_eq!((reply.status, &outcome["problem"]["status"]), (200, &json!(status)));
    }
}

#[tokio::test(start_paused = true)]
async fn a_batch_that_cannot_be_granted_is_refused_as_a_whole_and_names_the_item() {
    let world = World::new();
    let refused = async |item: Value| {
        let reply = batch(&world, "admin", &[direct(1), item]).await;
        (
            reply.status,
            reply.body["detail"].as_str().unwrap().to_owned(),
            reply.body["nearest"].clone(),
        )
    };
    for (item, detail) in [
        (json!({"id": 2, "kind": "group"}), "missing field `members`"),
        (json!({"id": 2, "members": [1]}), "missing field `kind`"),
        (json!({"kind": "group", "members": [1]}), "missing field `id`"),
        (
            json!({"id": "2", "kind": "group", "members": [1]}),
            "invalid type: string \"2\", expected u64",
        ),
        (json!({"id": 2, "kind": "group", "members": [], "creator": null}), "members is empty"),
        (
            json!({"id": 2, "kind": "direct", "members": [1]}),
            "a direct conversation has two members, its creator included",
        ),
        (
            json!({"id": 2, "kind": "group", "members": [0]}),
            "members are numbers from 1 to 9007199254740991",
        ),
        (
            json!({"id": 0, "kind": "group", "members": [1]}),
            "id is a number from 1 to 9007199254740991",
        ),
        (direct(1), "the id 1 stands twice"),
        (json!(7), "invalid type: integer `7`, expected an object"),
        (
            json!({"id": 2, "kind": "group", "members": [1], "nam": 1}),
            "unknown field `nam`, expected one of `id`, `kind`, `members`, `creator`",
        ),
    ] {
        let expected = (422, format!("conversations[1]: {detail}"), Value::Null);
        assert_eq!(refused(item).await, expected);
    }
    let (status, detail, nearest) =
        refused(json!({"id": 2, "kind": "gruop", "members": [1]})).await;
    assert_eq!((status, detail.as_str()), (422, "conversations[1]: kind is direct or group"));
    assert_eq!(nearest, "group");
    assert_eq!(world.owner.conversations.lock().unwrap().len(), 0, "nothing was made");
}

#[tokio::test(start_paused = true)]
async fn a_batch_is_bounded_and_must_be_read() {
    let world = World::new();
    let ids = |count: usize| -> Vec<Value> { (1..=count as u64).map(direct).collect() };
    let large =
        json!({ "conversations": [{ "id": 1, "kind": "x".repeat(limits::MAX_REST_BODY_BYTES) }] });
    let twice = r#"{"conversations":[{"id":1,"kind":"group","members":[1],"id":2}]}"#;
    let most = json!({ "conversations": ids(limits::MAX_BATCH) }).to_string();
    let more = json!({ "conversations": ids(limits::MAX_BATCH + 1) }).to_string();
    let table = [
        ("", "{}", 401, "unauthenticated"),
        ("user-1", r#"{"conversations":[]}"#, 403, "forbidden"),
        ("root-1", r#"{"conversations":[]}"#, 403, "forbidden"),
        ("audit", r#"{"conversations":[]}"#, 403, "forbidden"),
        ("admin", r#"{"conversations":[]}"#, 200, ""),
        ("admin", "", 415, "unsupported-media-type"),
        ("admin", "{", 400, "malformed"),
        ("admin", twice, 400, "malformed"),
        ("admin", "[]", 422, "unprocessable"),
        ("admin", "{}", 422, "unprocessable"),
        ("admin", r#"{"conversations":7}"#, 422, "unprocessable"),
        ("admin", r#"{"conversation":[]}"#, 422, "unprocessable"),
        ("admin", &large.to_string(), 413, "too-large"),
        ("admin", &more, 422, "unprocessable"),
        ("admin", &most, 200, ""),
    ];
    for (token, body, status, kind) in table {
        let reply = world.ask("POST", BATCH, token, body).await;
        assert_eq!((reply.status, word(&reply)), (status, kind), "{reply:?}");
    }
    assert_eq!(world.owner.conversations.lock().unwrap().len(), limits::MAX_BATCH);
}

#[test]
fn the_largest_batch_of_direct_conversations_fits_into_a_body() {
    let id = protocol::ids::MAX_CLIENT_CHOSEN_ID;
    let item = json!({"id": id, "kind": "direct", "members": [id, id], "creator": id});
    let bytes = (item.to_string().len() + 1) * limits::MAX_BATCH;
    assert!(bytes + 64 < limits::MAX_REST_BODY_BYTES, "{bytes}");
}

/// A world with conversations 1 to 20, of which every fifth has a lot to say.
async fn talkative() -> World {
    let world = World::new();
    let items: Vec<_> = (1..=20).map(direct).collect();
    assert_eq!(batch(&world, "admin", &items).await.status, 200);
    for id in [5, 10, 15, 20] {
        for n in 0..9 {
            world.owner.say(id, id, Content::Message { body: format!("{n}"), reply_to: None });
        }
    }
    world
}

/// The lines of an answer; each fits the document.
fn lines(world: &World, reply: &Reply) -> Vec<Value> {
    assert_eq!(
        (reply.status, &reply.headers[header::CONTENT_TYPE]),
        (200, &"application/x-ndjson".parse().unwrap())
    );
    let schema = json!({ "$ref": "#/components/schemas/ExportLine" });
    let text = reply.body.as_str().unwrap();
    assert!(text.ends_with('\n'));
    let each = text.lines().map(|line| {
        let line: Value = serde_json::from_str(line).expect("a line of JSON");
        assert_eq!(world.document.faults(&schema, &line), [""; 0], "{line}");
        line
    });
    each.collect()
}

#[test]
fn the_lines_on_the_page_are_lines_of_an_export() {
    let page = include_str!("../../../../../docs/protocol.md");
    let (_, section) = page.split_once("## In bulk\n").expect("a section");
    let lines: Vec<_> = section.lines().filter(|line| line.starts_with('{')).collect();
    assert_eq!(lines.len(), 3);
    let schema = json!({ "$ref": "#/components/schemas/ExportLine" });
    for line in lines {
        let faults = Document::load().faults(&schema, &serde_json::from_str(line).unwrap());
        assert_eq!(faults, [""; 0], "{line}");
    }
}

/// (conversation, sequence), in the order of the lines.
fn entries(lines: &[Value]) -> Vec<(u64, u64)> {
    let entries = lines.iter().filter_map(|line| line["conversation"]["entries"].as_array());
    let key = |entry: &Value| {
        (entry["conversation"].as_u64().unwrap(), entry["sequence"].as_u64().unwrap())
    };
    entries.flatten().map(key).collect()
}

#[tokio::test(start_paused = true)]
async fn an_export_holds_everything_once_and_says_where_it_ends() {
    let world = talkative().await;
    let cursor = ReceiptItem {
        conversation: ConversationId(1),
        user: UserId(1),
        delivered: Sequence(2),
        read: Sequence(1),
    };
    world.owner.receipts.lock().unwrap().push(cursor);
    let mut all = Vec::new();
    for partition in 0..PARTITIONS {
        let path = format!("/v1/partitions/{partition}/export");
        let reply = world.ask("GET", &path, "audit", "").await;
        let lines = lines(&world, &reply);
        assert_eq!(lines[0], json!({"page": {"partition": partition, "owner": 1, "epoch": 2}}));
        assert_eq!(lines.last(), Some(&json!({"end": {"partition": partition}})));
        let ends: Vec<_> =
            lines.iter().filter_map(|line| line["conversation"].get("end")).collect();
        let here =
            (1..=20).filter(|id| partition_of(ConversationId(*id), PARTITIONS).0 == partition);
        assert_eq!(ends.len(), here.count());
        assert_eq!(ends[0]["receipts"], json!([{"user": 1, "delivered": 2, "read": 1}]));
        assert_eq!(ends[0]["members"].as_array().unwrap().len(), 2);
        let read = entries(&lines);
        assert!(read.is_sorted());
        all.extend(read);
    }
    all.sort_unstable();
    let expected =
        (1..=20).flat_map(|id| (1..=if id % 5 == 0 { 11 } else { 2 }).map(move |q| (id, q)));
    assert_eq!(all, expected.collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn an_export_goes_on_from_wherever_it_was_cut() {
    let world = talkative().await;
    let partition = partition_of(ConversationId(10), PARTITIONS).0;
    let ask = async |from: u64, after: u64| {
        let path = format!("/v1/partitions/{partition}/export?from={from}&after={after}");
        entries(&lines(&world, &world.ask("GET", &path, "audit", "").await))
    };
    let whole = ask(0, 0).await;
    for at in 0..whole.len() {
        let (id, sequence) = whole[at];
        assert_eq!(ask(id, sequence).await, whole[at + 1..], "behind {sequence} of {id}");
    }
    assert_eq!(ask(u64::MAX, 0).await, []);
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_read_is_an_error_and_not_an_end() {
    let world = talkative().await;
    let path = "/v1/partitions/1/export";
    // The owner is lost behind the first page.
    *world.owner.pages_left.lock().unwrap() = Some(1);
    let lines = lines(&world, &world.ask("GET", path, "audit", "").await);
    assert!(lines.len() > 2);
    assert_eq!(lines.last().unwrap()["problem"]["status"], 503);
    assert!(lines.iter().all(|line| line.get("end").is_none()));
    // Before it there is no stream at all.
    let reply = world.ask("GET", path, "audit", "").await;
    assert_eq!((reply.status, word(&reply)), (503, "unavailable"));
    assert!(reply.headers.contains_key(header::RETRY_AFTER));
}

#[tokio::test(start_paused = true)]
async fn an_export_is_for_services_that_may_read_and_of_partitions_that_there_are() {
    let world = talkative().await;
    for (path, token, status) in [
        ("/v1/partitions/3/export", "", 401),
        ("/v1/partitions/3/export", "user-1", 403),
        ("/v1/partitions/3/export", "admin", 403),
        ("/v1/partitions/3/export", "audit", 200),
        ("/v1/partitions/4/export", "audit", 404),
        ("/v1/partitions/65536/export", "audit", 400),
        ("/v1/partitions/x/export", "audit", 400),
        ("/v1/partitions/-1/export", "audit", 400),
        ("/v1/partitions/3/export?from=x", "audit", 400),
        ("/v1/partitions/3/export?form=1", "audit", 400),
        ("/v1/partitions/3/export?from=1&from=1", "audit", 400),
    ] {
        assert_eq!(world.ask("GET", path, token, "").await.status, status, "{path} {token}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_holds_its_place_until_it_ends() {
    use axum::body::Body;
    use axum::http::Request;
    use http_body_util::BodyExt;
    use tower::ServiceExt;
    let world = World::with(GatewayLimits { rest_requests: 1, ..GatewayLimits::default() });
    let ask =
        || Request::get("/v1/partitions/1/export").header(header::AUTHORIZATION, "bearer audit");
    let ask = || world.router.clone().oneshot(ask().body(Body::empty()).unwrap());
    let stream = ask().await.unwrap();
    assert_eq!(ask().await.unwrap().status(), 503);
    stream.into_body().collect().await.unwrap();
    assert_eq!(ask().await.unwrap().status(), 200);
}
