//! The same users, driven by goose: a WebSocket in each user's session data; a transaction sends a message
//! and reads until it is accepted.

use crate::people::{self, Person};
use anyhow::{Context, anyhow};
use futures_util::{SinkExt, StreamExt};
use goose::GooseAttack;
use goose::client::GooseClientBuilder;
use goose::config::GooseConfiguration;
use goose::goose::{GooseUser, Scenario, Transaction, TransactionError, TransactionFunction};
use serde_json::{Value, json};
use std::env::var;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::Mutex;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::http::header::SEC_WEBSOCKET_PROTOCOL;

/// What all users share.
struct Crowd {
    gateway: String,
    people: Vec<Person>,
    accepted: AtomicU64,
    delivered: AtomicU64,
}

/// What a user keeps between two messages.
struct Session {
    socket: WebSocketStream<TcpStream>,
    user: u64,
    conversation: u64,
    sent: u64,
}

/// As goose keeps it: what it can clone.
type Mine = Arc<Mutex<Session>>;

/// Drives the users that the environment names, and prints what they counted.
pub async fn talk() -> anyhow::Result<()> {
    let text = |name: &str| var(name).with_context(|| format!("{name} is not set"));
    let gateway = text("GATEWAY")?;
    let people = people::read(Path::new(&text("PEOPLE")?))?;
    let think = Duration::from_millis(text("THINK_MS")?.parse()?);
    let mut configuration = GooseConfiguration::parse_args_default::<&str>(&[])
        .map_err(|error| anyhow!("the configuration of goose: {error}"))?;
    configuration.host = Some(format!("http://{gateway}"));
    configuration.users = Some(people.len());
    configuration.increase_rate = Some(text("ARRIVE_PER_SECOND")?);
    configuration.run_time = Some(format!("{}s", text("SECONDS")?));
    // What it measures of HTTP requests is not used here, and would be to its disadvantage.
    (configuration.no_metrics, configuration.no_print_metrics) = (true, true);
    (configuration.no_telnet, configuration.no_websocket, configuration.quiet) = (true, true, 2);
    let crowd = Arc::new(Crowd {
        gateway,
        people,
        accepted: AtomicU64::new(0),
        delivered: AtomicU64::new(0),
    });
    let scenario = Scenario::new("pairs")
        .register_transaction(Transaction::new(connecting(crowd.clone())).set_on_start())
        .register_transaction(Transaction::new(message(crowd.clone())))
        .set_wait_time(think, think)?;
    // One HTTP client for all: with one each, a user would take 100 KB more.
    let client = GooseClientBuilder::new().without_cookies();
    let attack = GooseAttack::initialize_with_config(configuration)?
        .set_client_builder_without_cookies(client)?
        .register_scenario(scenario);
    Box::pin(attack.execute()).await?;
    let counted = |count: &AtomicU64| count.load(Ordering::Relaxed);
    let (accepted, delivered) = (counted(&crowd.accepted), counted(&crowd.delivered));
    println!("{}", json!({ "accepted": accepted, "delivered": delivered }));
    Ok(())
}

fn connecting(crowd: Arc<Crowd>) -> TransactionFunction {
    Arc::new(move |goose| {
        let crowd = crowd.clone();
        Box::pin(async move {
            let session = connect(&crowd, goose.weighted_users_index)
                .await
                .map_err(|error| Box::new(failed(&error)))?;
            goose.set_session_data(Mine::new(Mutex::new(session)));
            Ok(())
        })
    })
}

fn message(crowd: Arc<Crowd>) -> TransactionFunction {
    Arc::new(move |goose: &mut GooseUser| {
        let crowd = crowd.clone();
        Box::pin(async move {
            // Whoever could not connect says nothing.
            let Some(mine) = goose.get_session_data::<Mine>().cloned() else { return Ok(()) };
            say(&crowd, &mut *mine.lock().await).await.map_err(|error| Box::new(failed(&error)))
        })
    })
}

#[expect(clippy::disallowed_methods, reason = "what is compared with ours does not use ours")]
async fn connect(crowd: &Crowd, index: usize) -> anyhow::Result<Session> {
    let person = crowd.people.get(index).context("more users than people")?;
    let stream = TcpStream::connect(&crowd.gateway).await?;
    stream.set_nodelay(true)?;
    let mut request = format!("ws://{}/v1/ws", crowd.gateway).into_client_request()?;
    request
        .headers_mut()
        .insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static("fracas.v1.json"));
    let (mut socket, _) = tokio_tungstenite::client_async(request, stream).await?;
    let hello = json!({ "hello": { "token": person.token, "device": 1 } });
    socket.send(Message::text(hello.to_string())).await?;
    let Person { user, conversation, .. } = *person;
    let mut session = Session { socket, user, conversation, sent: 0 };
    // It can talk once its conversation is attached.
    while next(&mut session).await?.get("attached").is_none() {}
    Ok(session)
}

/// Sends a message and waits until it is accepted.
async fn say(crowd: &Crowd, session: &mut Session) -> anyhow::Result<()> {
    session.sent += 1;
    let id = session.sent;
    let body = format!("message {id} of user {}", session.user);
    let frame = json!({ "send": {
        "conversation": session.conversation, "client_message_id": id, "body": body,
    } });
    session.socket.send(Message::text(frame.to_string())).await?;
    loop {
        let frame = next(session).await?;
        if frame["entry"]["author"].as_u64().is_some_and(|author| author != session.user) {
            crowd.delivered.fetch_add(1, Ordering::Relaxed);
        } else if frame["accepted"]["client_message_id"] == id {
            crowd.accepted.fetch_add(1, Ordering::Relaxed);
            return Ok(());
        }
    }
}

/// The next frame; heartbeats are answered.
async fn next(session: &mut Session) -> anyhow::Result<Value> {
    loop {
        let message = session.socket.next().await.context("the session ended")??;
        let Message::Text(text) = message else { continue };
        let frame: Value = serde_json::from_str(&text)?;
        match frame.get("ping") {
            Some(ping) => {
                let pong = json!({ "pong": ping }).to_string();
                session.socket.send(Message::text(pong)).await?;
            }
            None => return Ok(frame),
        }
    }
}

fn failed(error: &anyhow::Error) -> TransactionError {
    TransactionError::Custom(error.to_string())
}
