//! The routes of the gateway itself.

use super::{Reply, World};
use axum::http::header;
use bytes::Bytes;
use ports::broker::{DeadLetter, Origin};
use ports::{CallError, entered};
use protocol::limits::GatewayLimits;
use protocol::records::{self, Action, Inbound, PushJob, SessionRef};
use protocol::store_calls::ReceiptItem;
use protocol::{
    ClientMessageId, Content, ConversationId, GatewayId, Incarnation, Partition, Sequence,
    SessionId, UserId,
};
use serde_json::{Value, json};

/// Conversation 7 is a group of users 1 and 2, conversation 8 direct between 1 and 3.
pub async fn world() -> World {
    let world = World::new();
    for (path, body) in [
        ("/v1/conversations/7", r#"{"kind":"group","members":[1,2]}"#),
        ("/v1/conversations/8", r#"{"kind":"direct","members":[1,3]}"#),
    ] {
        let made = world.ask("PUT", path, "admin", body).await;
        assert_eq!(made.status, 200, "{made:?}");
    }
    world
}

pub fn word(reply: &Reply) -> &str {
    reply.body["type"].as_str().map_or("", |kind| kind.rsplit(':').next().unwrap())
}

#[tokio::test(start_paused = true)]
#[allow(clippy::too_many_lines, reason = "one table")]
async fn each_request_gets_its_status() {
    let world = world().await;
    let group = r#"{"kind":"group","members":[2]}"#;
    let table = [
        // Who asks.
        ("GET", "/v1/conversations", "", "", 401),
        ("GET", "/v1/conversations", "rubbish", "", 401),
        ("GET", "/v1/conversations", "expired", "", 401),
        ("GET", "/v1/conversations", "revoked", "", 401),
        ("GET", "/v1/conversations", "early", "", 503),
        ("GET", "/v1/conversations", "mute-1", "", 403),
        ("GET", "/v1/conversations", "user-1", "", 200),
        ("GET", "/v1/conversations", "admin", "", 400),
        ("GET", "/v1/conversations?user=1", "audit", "", 200),
        ("GET", "/v1/conversations?user=2", "user-1", "", 403),
        ("GET", "/v1/conversations?usr=2", "user-1", "", 400),
        ("GET", "/v1/conversations?limit=0", "user-1", "", 400),
        // Making conversations.
        ("POST", "/v1/conversations", "user-1", group, 201),
        ("POST", "/v1/conversations", "admin", group, 201),
        ("POST", "/v1/conversations", "audit", group, 403),
        ("POST", "/v1/conversations", "user-1", "", 415),
        ("POST", "/v1/conversations", "user-1", "{", 400),
        ("POST", "/v1/conversations", "user-1", "[]", 422),
        ("POST", "/v1/conversations", "user-1", r#"{"kind":"group"}"#, 422),
        ("POST", "/v1/conversations", "user-1", r#"{"kind":"grup","members":[2]}"#, 422),
        ("POST", "/v1/conversations", "user-1", r#"{"kind":"group","members":[2],"nam":1}"#, 422),
        ("POST", "/v1/conversations", "user-1", r#"{"kind":"group","members":["2"]}"#, 422),
        ("POST", "/v1/conversations", "user-1", r#"{"kind":"group","members":[0]}"#, 422),
        ("POST", "/v1/conversations", "user-1", r#"{"kind":"group","members":[2,2]}"#, 422),
        ("POST", "/v1/conversations", "user-1", r#"{"kind":"direct","members":[2,3]}"#, 422),
        ("POST", "/v1/conversations", "user-1", r#"{"kind":"direct","members":[]}"#, 422),
        (
            "POST",
            "/v1/conversations",
            "user-1",
            r#"{"kind":"group","members":[],"creator":2}"#,
            403,
        ),
        ("POST", "/v1/conversations", "admin", r#"{"kind":"group","members":[]}"#, 422),
        ("PUT", "/v1/conversations/9", "user-1", group, 403),
        ("PUT", "/v1/conversations/9", "root-1", group, 403),
        ("PUT", "/v1/conversations/9", "admin", group, 200),
        ("PUT", "/v1/conversations/9", "admin", group, 200),
        ("PUT", "/v1/conversations/7", "admin", group, 409),
        ("PUT", "/v1/conversations/x", "admin", group, 400),
        ("PUT", "/v1/conversations/0", "admin", group, 400),
        ("PUT", "/v1/conversations/9007199254740992", "admin", group, 400),
        // Seeing them.
        ("GET", "/v1/conversations/7", "user-1", "", 200),
        ("GET", "/v1/conversations/7", "audit", "", 200),
        ("GET", "/v1/conversations/7", "user-3", "", 404),
        ("GET", "/v1/conversations/99", "user-1", "", 404),
        ("GET", "/v1/conversations/-7", "user-1", "", 400),
        // Members.
        ("PUT", "/v1/conversations/7/members/4", "user-3", "", 404),
        ("PUT", "/v1/conversations/7/members/4", "user-1", "", 200),
        ("PUT", "/v1/conversations/7/members/5", "admin", "", 200),
        ("PUT", "/v1/conversations/8/members/4", "user-1", "", 409),
        ("PUT", "/v1/conversations/7/members/0", "user-1", "", 400),
        ("DELETE", "/v1/conversations/7/members/4", "user-1", "", 403),
        ("DELETE", "/v1/conversations/99/members/4", "user-1", "", 403),
        ("DELETE", "/v1/conversations/7/members/4", "user-4", "", 200),
        ("DELETE", "/v1/conversations/7/members/5", "admin", "", 200),
        ("GET", "/v1/conversations/7", "user-4", "", 404),
        // Entries and receipts.
        ("GET", "/v1/conversations/7/entries", "user-1", "", 200),
        ("GET", "/v1/conversations/7/entries", "audit", "", 200),
        ("GET", "/v1/conversations/7/entries", "admin", "", 403),
        ("GET", "/v1/conversations/7/entries", "user-3", "", 404),
        ("GET", "/v1/conversations/7/entries?limit=201", "user-1", "", 400),
        ("PUT", "/v1/conversations/7/receipts", "user-1", r#"{"delivered":2,"read":1}"#, 202),
        ("PUT", "/v1/conversations/7/receipts", "user-1", r#"{"delivered":1,"read":2}"#, 422),
        ("PUT", "/v1/conversations/7/receipts", "user-1", r#"{"delivered":99}"#, 422),
        ("PUT", "/v1/conversations/7/receipts", "user-1", r#"{"delivered":-1}"#, 422),
        ("PUT", "/v1/conversations/7/receipts", "user-3", r#"{"delivered":1}"#, 404),
        ("PUT", "/v1/conversations/7/receipts", "admin", r#"{"delivered":1}"#, 403),
        ("GET", "/v1/conversations/7/receipts", "user-2", "", 200),
        ("GET", "/v1/conversations/7/receipts", "user-3", "", 404),
        // Operations.
        ("GET", "/v1/dead-letters", "user-1", "", 403),
        ("GET", "/v1/dead-letters", "audit", "", 403),
        ("GET", "/v1/dead-letters", "admin", "", 200),
        ("GET", "/v1/dead-letters/4", "admin", "", 404),
        ("POST", "/v1/dead-letters/4/requeue", "admin", "", 404),
        ("POST", "/v1/dead-letters/4/requeue", "user-1", "", 403),
        ("GET", "/v1/queues", "audit", "", 200),
        ("GET", "/v1/queues", "user-1", "", 403),
        ("GET", "/v1/partitions", "admin", "", 200),
        ("GET", "/v1/partitions", "", "", 401),
        ("GET", "/health", "", "", 200),
        ("GET", "/ready", "", "", 200),
        ("GET", "/metrics", "", "", 200),
        ("GET", "/openapi.json", "", "", 200),
        ("PATCH", "/v1/conversations/7", "user-1", "", 405),
        ("GET", "/v2/conversations", "user-1", "", 404),
    ];
    for (method, path, token, body, status) in table {
        let reply = world.ask(method, path, token, body).await;
        assert_eq!(reply.status, status, "{method} {path} {token} {body}: {reply:?}");
        let challenged = reply.headers.contains_key(header::WWW_AUTHENTICATE);
        assert!(challenged || status != 401, "{method} {path}");
        assert_eq!(reply.headers.contains_key(header::RETRY_AFTER), status == 503, "{path}");
        if status >= 400 {
            world.is_a_problem(&reply);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_stranger_cannot_tell_a_foreign_conversation_from_none() {
    let world = world().await;
    for path in ["", "/entries", "/receipts"] {
        let foreign = world.ask("GET", &format!("/v1/conversations/7{path}"), "user-3", "").await;
        let none = world.ask("GET", &format!("/v1/conversations/99{path}"), "user-3", "").await;
        assert_eq!((foreign.status, foreign.body, foreign.headers), (404, none.body, none.headers));
    }
}

#[tokio::test(start_paused = true)]
async fn a_new_conversation_has_its_maker_and_a_place() {
    let world = World::new();
    let body = r#"{"kind":"group","members":[2,3]}"#;
    let made = world.ask("POST", "/v1/conversations", "user-1", body).await;
    let place = made.headers[header::LOCATION].to_str().unwrap();
    let shown = world.ask("GET", place, "user-1", "").await;
    assert_eq!(shown.body, made.body);
    let users: Vec<_> =
        made.body["members"].as_array().unwrap().iter().map(|m| &m["user"]).collect();
    assert_eq!(users, [&json!(1), &json!(2), &json!(3)]);
    let other = world.ask("POST", "/v1/conversations", "user-1", body).await;
    assert_ne!(other.body["id"], made.body["id"]);
}

#[tokio::test(start_paused = true)]
async fn the_backlog_comes_in_pages_without_gap_or_repetition() {
    let world = world().await;
    for n in 0..10 {
        let body = format!("message {n}");
        world.owner.say(7, 1, Content::Message { body, reply_to: None });
    }
    for content in [
        Content::Edit { target: Sequence(3), body: "other".into() },
        Content::Delete { target: Sequence(4) },
        Content::Leave { user: UserId(2) },
    ] {
        world.owner.say(7, 1, content);
    }
    let (mut after, mut seen) = (json!(0), Vec::new());
    while !after.is_null() {
        let path = format!("/v1/conversations/7/entries?after={after}&limit=4");
        let page = world.ask("GET", &path, "user-1", "").await;
        seen.extend(page.body["entries"].as_array().unwrap().iter().map(|e| e["sequence"].clone()));
        after = page.body["next_after"].clone();
    }
    assert_eq!(seen, (1..=15).map(Value::from).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn conversations_are_listed_in_order_and_in_pages() {
    let world = world().await;
    let first = world.ask("GET", "/v1/conversations?limit=1", "user-1", "").await;
    assert_eq!(first.body, json!({"conversations": [{"id": 7, "joined": 1}], "next_after": 7}));
    let rest = world.ask("GET", "/v1/conversations?after=7&limit=1", "user-1", "").await;
    assert_eq!(rest.body, json!({"conversations": [{"id": 8, "joined": 1}], "next_after": null}));
}

#[tokio::test(start_paused = true)]
async fn a_receipt_reaches_the_owner() {
    let world = world().await;
    world.ask("PUT", "/v1/conversations/7/receipts", "user-1", r#"{"delivered":2}"#).await;
    let item = ReceiptItem {
        conversation: ConversationId(7),
        user: UserId(1),
        delivered: Sequence(2),
        read: Sequence(0),
    };
    assert_eq!(*world.owner.receipts.lock().unwrap(), [item]);
    let shown = world.ask("GET", "/v1/conversations/7/receipts", "user-2", "").await;
    assert_eq!(shown.body["receipts"], json!([{"user": 1, "delivered": 2, "read": 0}]));
}

#[tokio::test(start_paused = true)]
async fn lost_owners_and_brokers_are_told_apart_from_slow_ones() {
    let world = world().await;
    for (failure, status, kind) in
        [(CallError::Unavailable, 503, "unavailable"), (CallError::Unknown, 504, "outcome-unknown")]
    {
        *world.owner.failure.lock().unwrap() = Some(failure);
        for (method, path, body) in [
            ("GET", "/v1/conversations", ""),
            ("POST", "/v1/conversations", r#"{"kind":"group","members":[2]}"#),
            ("GET", "/v1/conversations/7", ""),
            ("PUT", "/v1/conversations/7/members/3", ""),
            ("DELETE", "/v1/conversations/7/members/1", ""),
            ("GET", "/v1/conversations/7/entries", ""),
            ("PUT", "/v1/conversations/7/receipts", r#"{"delivered":1}"#),
            ("GET", "/v1/conversations/7/receipts", ""),
        ] {
            let reply = world.ask(method, path, "user-1", body).await;
            assert_eq!((reply.status, word(&reply)), (status, kind), "{method} {path}");
            assert_eq!(reply.headers.contains_key(header::RETRY_AFTER), status == 503);
        }
    }
    *world.broker.away.lock().unwrap() = true;
    for path in ["/v1/dead-letters", "/v1/dead-letters/1", "/v1/queues"] {
        let reply = world.ask("GET", path, "admin", "").await;
        assert_eq!((reply.status, word(&reply)), (503, "unavailable"), "{path}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_user_who_asks_too_much_waits_and_harms_nobody() {
    let world = world().await;
    let ask = |token: &'static str| world.ask("GET", "/v1/conversations/7", token, "");
    for _ in 0..GatewayLimits::default().rest_burst {
        assert_eq!(ask("user-1").await.status, 200);
    }
    let refused = ask("user-1").await;
    assert_eq!((refused.status, word(&refused)), (429, "too-many-requests"));
    assert_eq!(refused.headers[header::RETRY_AFTER], "1");
    assert_eq!(ask("user-2").await.status, 200);
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    assert_eq!(ask("user-1").await.status, 200);
}

fn dead(id: u64, origin: Origin, message: Bytes) -> DeadLetter {
    DeadLetter { id, origin, reason: "why".into(), attempts: 5, at_ms: 9, message }
}

fn inbound(action: Action) -> Bytes {
    let (gateway, incarnation) = (GatewayId(1), Incarnation(1));
    records::encode(&Inbound {
        from: SessionRef { gateway, incarnation, session: SessionId(1) },
        author: UserId(1),
        conversation: ConversationId(7),
        client_message_id: ClientMessageId(12),
        action,
    })
}

#[tokio::test(start_paused = true)]
async fn dead_letters_are_shown_to_people_and_put_back() {
    let world = World::new();
    let push = PushJob {
        users: vec![UserId(2)],
        conversation: ConversationId(7),
        sequence: Sequence(3),
        author: UserId(1),
        preview: "hello".into(),
        at_ms: 0,
        client_message_id: None,
    };
    let sent = Action::Send { body: "hello".into(), reply_to: None, format: 9 };
    let edited = Action::Edit { target: Sequence(2), body: "other".into() };
    *world.broker.dead_letters.lock().unwrap() = vec![
        dead(4, Origin::Inbound(Partition(3)), inbound(sent)),
        dead(5, Origin::Inbound(Partition(3)), inbound(edited)),
        dead(6, Origin::Inbound(Partition(3)), inbound(Action::Delete { target: Sequence(2) })),
        dead(7, Origin::Jobs(0), push.encode()),
        dead(8, Origin::Jobs(0), Bytes::from_static(&[255, 255])),
    ];
    let page = world.ask("GET", "/v1/dead-letters?limit=5", "admin", "").await;
    let records: Vec<_> =
        page.body["dead_letters"].as_array().unwrap().iter().map(|l| l["record"].clone()).collect();
    let of = |action: &str| json!({"type": "inbound", "author": 1, "conversation": 7, "client_message_id": 12, "action": action});
    assert_eq!(records[0]["body"], "hello");
    assert_eq!(records[0]["format"], 9);
    assert_eq!((&records[1]["action"], &records[1]["target"]), (&json!("edit"), &json!(2)));
    let mut deleted = of("delete");
    deleted["target"] = json!(2);
    assert_eq!(records[2], deleted);
    assert_eq!(records[3]["preview"], "hello");
    assert_eq!(records[4], Value::Null);
    assert_eq!(page.body["dead_letters"][4]["base64"], "//8=");
    assert_eq!(page.body["next_after"], 8);
    let last = world.ask("GET", "/v1/dead-letters?after=8", "admin", "").await;
    assert_eq!(last.body, json!({"dead_letters": [], "next_after": null}));

    let one = world.ask("GET", "/v1/dead-letters/5", "admin", "").await;
    assert_eq!((one.status, &one.body["id"]), (200, &json!(5)));
    assert_eq!(world.ask("GET", "/v1/dead-letters/3", "admin", "").await.status, 404);
    assert_eq!(world.ask("POST", "/v1/dead-letters/5/requeue", "admin", "").await.status, 204);
    assert_eq!(*world.broker.requeued.lock().unwrap(), [5]);
}

#[tokio::test(start_paused = true)]
async fn operators_see_queues_partitions_and_readiness() {
    let world = World::new();
    let queues = world.ask("GET", "/v1/queues", "admin", "").await.body;
    let expected = json!({"queues": [
        {"queue": "inbound-3", "messages": 12}, {"queue": "dead", "messages": 1}]});
    assert_eq!(queues, expected);
    let partitions = world.ask("GET", "/v1/partitions", "admin", "").await.body;
    assert_eq!(partitions["partitions"][0]["partition"], 0);
    let metrics = world.ask("GET", "/metrics", "", "").await;
    assert_eq!(metrics.body, "sessions 3\n");
    *entered(world.ready.lock()) = Some(vec![Partition(3), Partition(7)]);
    let warned = world.ask("GET", "/ready", "", "").await;
    let expected = json!({ "status": "warn", "without_answers": [3, 7] });
    assert_eq!((warned.status, warned.body), (200, expected), "others do not reach them either");
    *entered(world.ready.lock()) = None;
    assert_eq!(world.ask("GET", "/ready", "", "").await.status, 503);
    assert_eq!(world.ask("GET", "/health", "", "").await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn a_wrong_method_names_the_right_ones() {
    let reply = World::new().ask("DELETE", "/v1/conversations", "", "").await;
    let allowed = reply.headers[header::ALLOW].to_str().unwrap();
    assert!(allowed.contains("GET") && allowed.contains("POST"), "{allowed}");
}
