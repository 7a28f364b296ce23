//! What users of the REST interface read is judged: goose drives one against a gateway on loopback that
//! answers as a test wants it, and the judge sees what it recorded.

use fakes::Memory;
use loadgen::Limits;
use loadgen::journeys::Start;
use protocol::{
    ClientMessageId, Content, ConversationId, Entry, Epoch, NodeNumber, Sequence, UserId,
};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::{Instant, sleep};
use verify::history::event::{Engine, Phase, Request};
use verify::history::{Event, What};
use verify::{Finding, Judge, JudgeOptions};
use workload::recorder::Recorder;
use workload::seen::seen;
use workload::{Plan, Targets, header};

const SCENARIO: &str = r#"
question = "Is what REST users read judged?"
lesson = "It is."

[users]
count = 2
conversations = { groups = 1, group_size = 2 }

[load]
phases = [{ for = "2s", rate = "1/s" }]

[journeys]
users = 1
think = "50ms"
"#;
const CONVERSATION: ConversationId = ConversationId(1);

/// Which entries a page has, by how many pages there were before; none: it is no page, though a success.
type Pages = fn(u32) -> Vec<u64>;

struct Notes {
    began: Instant,
    events: Mutex<Vec<Event>>,
}

impl Recorder for Notes {
    fn record(&self, is: What) {
        let at = self.now_us();
        self.events.lock().expect("nobody panics").push(Event { at, is });
    }

    fn now_us(&self) -> u64 {
        self.began.elapsed().as_micros() as u64
    }
}

/// The members of the group have joined in its first entries, the user of the REST interface last; then
/// the first one leaves, and comes back, and leaves.
fn entry(sequence: u64) -> Entry {
    let content = match sequence {
        1..=3 => Content::Join { user: UserId(sequence) },
        4 | 6 => Content::Leave { user: UserId(1) },
        _ => Content::Join { user: UserId(1) },
    };
    Entry {
        conversation: CONVERSATION,
        sequence: Sequence(sequence),
        epoch: Epoch(1),
        owner: NodeNumber(1),
        author: UserId(1),
        client_message_id: ClientMessageId(0),
        at_ms: 0,
        content,
    }
}

/// One connection of goose to the gateway.
async fn serve(mut socket: TcpStream, asked: Arc<AtomicU32>, pages: Pages) {
    let mut read = Vec::new();
    while let Ok(1..) = socket.read_buf(&mut read).await {
        let text = String::from_utf8_lossy(&read);
        let is_form = text.starts_with("POST /oauth2/token ");
        if !text.contains("\r\n\r\n") || is_form && !text.contains("&scope=chat") {
            continue;
        }
        let body = if is_form {
            r#"{"access_token":"t","expires_in":3600}"#.to_owned()
        } else {
            let entries: Vec<_> =
                pages(asked.fetch_add(1, Ordering::Relaxed)).into_iter().map(entry).collect();
            let head = entries.last().map(|entry| entry.sequence);
            let is_page = head.is_some();
            let page = serde_json::json!({ "entries": entries, "first": 1, "head": head });
            if is_page { page.to_string() } else { String::new() }
        };
        let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len());
        read.clear();
        if socket.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}

/// Drives the user for a second, and judges what it has read.
fn judged(pages: Pages) -> (Finding, Vec<Event>) {
    let scenario = scenarios::parse(SCENARIO, "judged.toml", &[]).expect("a valid scenario");
    let plan = Arc::new(Plan::new(&scenario, 1));
    let notes = Arc::new(Notes { began: Instant::now(), events: Mutex::default() });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("one");
    runtime.block_on(async {
        let (machine, asked) = (Memory::default().machine("journeys"), Arc::default());
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("there is a port");
        listener.set_nonblocking(true).expect("it can be");
        let address = listener.local_addr().expect("it has one").to_string();
        let gateway = TcpListener::from_std(listener).expect("within a runtime");
        let (phase, phases) = watch::channel(Phase::Load);
        for phase in [Phase::SetUp, Phase::WarmUp, Phase::Load] {
            notes.record(What::Phase(phase));
        }
        for (user, at) in plan.conversation(CONVERSATION).members.iter().copied().zip(1..) {
            let (conversation, add, sequence) = (CONVERSATION, true, Sequence(at));
            notes.record(What::MemberAsked { conversation, user, add });
            notes.record(What::MemberChanged { conversation, user, add, sequence });
        }
        let drive = journeys::drive(Start {
            plan: plan.clone(),
            targets: Arc::new(Targets::development(vec![address])),
            machine: machine.clone(),
            trust: None,
            recorder: notes.clone(),
            limits: Arc::new(Limits::default()),
            phase: phases,
        });
        machine.clone().spawn("gateway", async move {
            while let Ok((socket, _)) = gateway.accept().await {
                machine.spawn("connection", serve(socket, Arc::clone(&asked), pages));
            }
        });
        let ends = async {
            sleep(Duration::from_secs(1)).await;
            phase.send_replace(Phase::Settle);
        };
        let (ended, ()) = tokio::join!(drive, ends);
        assert_eq!(ended.doubts, [""; 0]);
        for phase in [Phase::Heal, Phase::Settle, Phase::Judge] {
            notes.record(What::Phase(phase));
        }
        let (conversation, first, head) = (CONVERSATION, Sequence(1), Sequence(6));
        notes.record(What::StoredBegan { conversation });
        (1..=6).for_each(|at| notes.record(What::Stored { entry: seen(&entry(at)) }));
        notes.record(What::StoredAll { conversation, first, head, whole: true });
        notes.record(What::Phase(Phase::End));
    });
    let events = notes.events.lock().expect("nobody panics").clone();
    let mut judge = Judge::new(&header(&scenario, 1, Engine::Real), JudgeOptions::default());
    for event in &events {
        judge.observe(event);
    }
    let findings = judge.finish().findings;
    let reads = findings.into_iter().find(|one| one.invariant == "reads_never_go_back");
    (reads.expect("it is in the catalogue"), events)
}

// One after another: goose's switch to stop is one for the process.
#[test]
fn wrong_pages_of_backlog_are_seen_by_the_judge() {
    let (sound, events) = judged(|_| vec![3, 4, 5, 6]);
    assert_eq!(sound.violations, 0, "{sound:#?}");
    assert!(sound.judged > 5, "{} reads", sound.judged);
    let answered = |events: &[Event], of: Request, with: u16| {
        let is = |event: &&Event| matches!(event.is, What::Requested { request, status, .. } if request == of && status == with);
        events.iter().filter(is).count() as u64
    };
    assert_eq!(answered(&events, Request::SignIn, 200), 1, "the token is kept");
    let pages = answered(&events, Request::PageBacklog, 200);
    assert!(pages >= sound.judged - 1, "a page for each read");

    let (_, events) = judged(|before| if before == 3 { vec![] } else { vec![3, 4, 5, 6] });
    assert_eq!(answered(&events, Request::PageBacklog, 0), 1, "a success without a page");

    let (falls, _) = judged(|before| if before == 3 { vec![3, 4] } else { vec![3, 4, 5, 6] });
    assert_eq!(falls.violations, 1, "{falls:#?}");
    assert!(falls.evidence[0].what.contains("3/1 read conversation 1 with head 4"), "{falls:#?}");

    let (skips, _) = judged(|before| if before == 3 { vec![3, 5, 6] } else { vec![3, 4, 5, 6] });
    assert_eq!(skips.violations, 1, "{skips:#?}");
    assert!(skips.evidence[0].what.contains("without 4"), "{skips:#?}");
}
