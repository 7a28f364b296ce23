//! The service over a network and a disk in memory: the wire, restarts, power loss, the verifier.

mod measured;
mod verifier;

use super::log::{Commits, Log, OpenError};
use super::remote_verifier::RemoteVerifier;
use super::serve::{AuthConfig, ServeError, serve};
use crate::core::refresh_token::FamilyId;
use crate::core::settings::{DevelopmentUsers, ServiceClient};
use crate::core::state::{Family, Record, State};
use bytes::Bytes;
use fakes::{Failure, Memory};
use http_body_util::Full;
use hyper::header::HeaderValue;
use hyper::{Request, Response, header};
use link::http::HttpClient;
use ports::{Machine, Shutdown, ShutdownTrigger, TokenError, TokenVerifier};
use protocol::UserId;
use protocol::design::Signatures;
use protocol::limits::AuthLimits;
use segments::LogError;
use serde::Deserialize;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::sleep;

/// The answer of the token endpoint, as its reader has it.
#[derive(Deserialize)]
struct TokenResponse {
    access_token: String,
    refresh_token: Option<String>,
}

const AT: &str = "auth:80";
/// How often a verifier asks.
const POLL: Duration = Duration::from_secs(1);
const FORM: &str = "application/x-www-form-urlencoded";

fn config() -> AuthConfig {
    let service = |id: &str, scope: &str| ServiceClient {
        id: id.into(),
        secret: "s3".into(),
        scopes: vec![scope.into()],
    };
    AuthConfig {
        issuer: "http://auth".into(),
        development_users: Some(DevelopmentUsers { count: 9, password: "secret".into() }),
        services: vec![service("ops", "admin"), service("audit", "audit")],
        access_token_lifetime: Duration::from_mins(1),
        refresh_token_lifetime: Duration::from_mins(10),
        limits: AuthLimits::default(),
    }
}

/// Starts a life of the service; how it ends is counted.
async fn start(memory: &Memory) -> ShutdownTrigger {
    let machine = memory.machine("auth-1");
    let listener = machine.network.bind(AT).await.unwrap();
    let (trigger, shutdown) = Shutdown::new();
    let serving = machine.clone();
    machine.spawn("auth", async move {
        let telemetry = serving.telemetry.clone();
        match serve(serving, listener, config(), shutdown).await {
            Ok(()) => telemetry.count("ended_well", 1),
            Err(ServeError::Log(OpenError::Log(LogError::Damaged { .. }))) => {
                telemetry.count("ended_damaged", 1);
            }
            Err(error) => panic!("{error:?}"),
        }
    });
    trigger
}

async fn send(machine: &Machine, request: Request<Full<Bytes>>) -> Response<Bytes> {
    let client = HttpClient::new(machine.clone());
    client.exchange(AT, request, Duration::from_secs(5)).await.unwrap()
}

fn post(path: &str, form: &str) -> Request<Full<Bytes>> {
    let request = Request::post(path).header(header::CONTENT_TYPE, FORM);
    request.body(Full::from(form.to_owned())).unwrap()
}

async fn tokens(machine: &Machine, form: &str) -> TokenResponse {
    let response = send(machine, post("/oauth2/token", form)).await;
    assert_eq!(response.status(), 200, "{response:?}");
    serde_json::from_slice(response.body()).unwrap()
}

async fn login(machine: &Machine, user: u64) -> TokenResponse {
    tokens(machine, &format!("grant_type=password&username=user-{user}&password=secret")).await
}

async fn revoke_user(machine: &Machine, user: u64) {
    let form = "grant_type=client_credentials&client_id=ops&client_secret=s3";
    let admin = tokens(machine, form).await.access_token;
    let mut request = post(&format!("/oauth2/users/{user}/revoke"), "");
    bear(&mut request, &admin);
    assert_eq!(send(machine, request).await.status(), 200);
}

fn bear(request: &mut Request<Full<Bytes>>, token: &str) {
    let value = HeaderValue::from_str(&format!("Bearer {token}")).unwrap();
    request.headers_mut().insert(header::AUTHORIZATION, value);
}

#[tokio::test(start_paused = true)]
async fn every_request_gets_the_answer_of_its_rfc() {
    let memory = Memory::default();
    let _trigger = start(&memory).await;
    let client = memory.machine("client");
    let admin =
        tokens(&client, "grant_type=client_credentials&client_id=ops&client_secret=s3").await;
    let audit =
        tokens(&client, "grant_type=client_credentials&client_id=audit&client_secret=s3").await;
    let json = || {
        let request =
            Request::post("/oauth2/token").header(header::CONTENT_TYPE, "application/json");
        request.body(Full::from("{}")).unwrap()
    };
    let get = |path: &str| Request::get(path).body(Full::default()).unwrap();
    let as_bearer = |path: &str, token: &str| {
        let mut request = post(path, "");
        bear(&mut request, token);
        request
    };
    let table = [
        (json(), 400, "invalid_request"),
        (post("/oauth2/token", ""), 400, "invalid_request"),
        (post("/oauth2/token", &"x=y&".repeat(4_000)), 413, "invalid_request"),
        (post("/oauth2/token", "grant_type=magic"), 400, "unsupported_grant_type"),
        (post("/oauth2/token", "grant_type=password&username=1&password=no"), 400, "invalid_grant"),
        (post("/oauth2/token", "grant_type=client_credentials"), 401, "invalid_client"),
        (post("/oauth2/revoke", "token=unknown"), 200, ""),
        (
            post("/oauth2/revoke", &format!("token={}", admin.access_token)),
            400,
            "unsupported_token_type",
        ),
        (post("/oauth2/users/1/revoke", ""), 401, "bearer token"),
        (as_bearer("/oauth2/users/1/revoke", "rubbish"), 401, "invalid_token"),
        (as_bearer("/oauth2/users/1/revoke", &audit.access_token), 403, "admin"),
        (as_bearer("/oauth2/users/99/revoke", &admin.access_token), 404, "no such user"),
        (as_bearer("/oauth2/users/x/revoke", &admin.access_token), 404, "no such user"),
        (as_bearer("/oauth2/users/1/revoke", &admin.access_token), 200, "\"epoch\":1"),
        (post("/oauth2/keys/rotate", ""), 401, "bearer token"),
        (as_bearer("/oauth2/keys/rotate", &audit.access_token), 403, "admin"),
        (as_bearer("/oauth2/keys/rotate", &admin.access_token), 200, "\"key\""),
        (get("/oauth2/revocations?after=x"), 400, "invalid_request"),
        (get("/oauth2/revocations?after=0"), 200, "\"user\":1"),
        (get("/oauth2/jwks"), 200, "\"Ed25519\""),
        (get("/.well-known/oauth-authorization-server"), 200, "http://auth/oauth2/token"),
        (get("/health"), 200, "pass"),
        (get("/oauth2/token"), 405, ""),
        (get("/nothing"), 404, ""),
    ];
    for (request, status, part) in table {
        let what = format!("{request:?}");
        let response = send(&client, request).await;
        assert_eq!(response.status(), status, "{what}");
        let body = String::from_utf8_lossy(response.body());
        assert!(body.contains(part), "{what}: {body}");
        let challenge = response.headers().contains_key(header::WWW_AUTHENTICATE);
        assert_eq!(challenge, matches!(status, 401 | 403), "{what}");
    }
}

#[tokio::test(start_paused = true)]
async fn tokens_are_not_cached_and_carry_no_date() {
    let memory = Memory::default();
    let _trigger = start(&memory).await;
    let form = "grant_type=password&username=1&password=secret";
    let response = send(&memory.machine("client"), post("/oauth2/token", form)).await;
    assert_eq!(response.headers()[header::CACHE_CONTROL], "no-store");
    assert!(!response.headers().contains_key(header::DATE));
}

#[tokio::test(start_paused = true)]
async fn one_connection_serves_many_requests() {
    let memory = Memory::default();
    let _trigger = start(&memory).await;
    let client = HttpClient::new(memory.machine("client"));
    for user in 1..=3 {
        let form = format!("grant_type=password&username={user}&password=secret");
        let answer = client.exchange(AT, post("/oauth2/token", &form), Duration::from_secs(5));
        assert_eq!(answer.await.unwrap().status(), 200);
    }
    assert_eq!(memory.network.connections(), 1);
}

/// What a gateway of this machine has.
fn verifier(client: &Machine) -> Arc<RemoteVerifier> {
    RemoteVerifier::start(client.clone(), AT.into(), POLL, Signatures::Checked)
}

#[tokio::test(start_paused = true)]
async fn whoever_guesses_passwords_is_told_when_to_come_back() {
    let memory = Memory::default();
    let _trigger = start(&memory).await;
    let client = memory.machine("client");
    let guess = || post("/oauth2/token", "grant_type=password&username=7&password=guess");
    for _ in 0..AuthLimits::default().failed_logins_burst {
        assert_eq!(send(&client, guess()).await.status(), 400);
    }
    let refused = send(&client, guess()).await;
    assert_eq!(refused.status(), 429);
    assert_eq!(refused.headers()[header::RETRY_AFTER], "10");
    login(&client, 8).await;
}

#[tokio::test(start_paused = true)]
async fn a_power_loss_takes_back_nothing_that_was_answered() {
    let memory = Memory::default();
    let client = memory.machine("client");
    let first = start(&memory).await;
    let before = login(&client, 7).await;
    let spent = login(&client, 8).await.refresh_token.unwrap();
    let refresh = |token: &str| format!("grant_type=refresh_token&refresh_token={token}");
    let current = tokens(&client, &refresh(&spent)).await.refresh_token.unwrap();
    revoke_user(&client, 7).await;
    let left = login(&client, 9).await.access_token;
    let logout = send(&client, post("/oauth2/revoke", &format!("token={left}"))).await;
    assert_eq!(logout.status(), 200);
    memory.disk.power_loss(&mut |_| 1);
    first.request();

    let _second = start(&memory).await;
    let verifier = verifier(&client);
    sleep(Duration::from_secs(1)).await;
    let now = client.clock.now_ms();
    assert_eq!(verifier.verify(&before.access_token, now), Err(TokenError::Revoked));
    assert_eq!(verifier.verify(&left, now), Err(TokenError::Revoked));
    let refused =
        send(&client, post("/oauth2/token", &refresh(&before.refresh_token.unwrap()))).await;
    assert_eq!(refused.status(), 400);
    // The rotation is remembered: the newest token works, and the spent one ends the family.
    let newest = tokens(&client, &refresh(&current)).await.refresh_token.unwrap();
    assert_eq!(send(&client, post("/oauth2/token", &refresh(&spent))).await.status(), 400);
    assert_eq!(send(&client, post("/oauth2/token", &refresh(&newest))).await.status(), 400);
}

#[tokio::test(start_paused = true)]
async fn a_torn_end_is_cut_off_but_damage_is_refused() {
    const FILE: &str = "auth-0000000001.log";
    let memory = Memory::default();
    let client = memory.machine("client");
    let first = start(&memory).await;
    let token = login(&client, 7).await.refresh_token.unwrap();
    first.request();
    let whole = memory.disk.contents(FILE);

    memory.disk.put(FILE, &[whole.clone(), vec![7; 13]].concat());
    let second = start(&memory).await;
    tokens(&client, &format!("grant_type=refresh_token&refresh_token={token}")).await;
    second.request();

    // In the last record that was answered for: to forget it would bring a spent token back.
    let mut damaged = memory.disk.contents(FILE);
    let last = damaged.len() - 1;
    damaged[last] ^= 1;
    memory.disk.put(FILE, &damaged);
    let _third = start(&memory).await;
    sleep(Duration::from_secs(1)).await;
    assert_eq!(memory.telemetry.counted("ended_damaged"), 1);
    assert_eq!(memory.disk.contents(FILE), damaged, "and is left as it is");
}

#[tokio::test(start_paused = true)]
async fn files_of_version_1_are_refused_as_such() {
    let memory = Memory::default();
    memory.disk.put("auth-00000003.journal", b"whatever it is");
    let machine = memory.machine("auth-1");
    let worker = machine.tasks.worker("log");
    let opened = Log::open(machine.disk.clone(), worker, [1; 32], AuthLimits::default()).await;
    let refused = opened.err().expect("refused").to_string();
    assert!(refused.starts_with("auth-00000003.journal has version 1"), "{refused}");
}

#[tokio::test(start_paused = true)]
async fn a_full_disk_is_said_at_once_and_recovers_by_itself() {
    let memory = Memory::default();
    let client = memory.machine("client");
    let _running = start(&memory).await;
    let token = login(&client, 7).await.refresh_token.unwrap();
    memory.disk.fail(Some(Failure::Full));
    let refresh = format!("grant_type=refresh_token&refresh_token={token}");
    // The first waits for the disk, within its time; the next is not even tried.
    let began = tokio::time::Instant::now();
    let requests = [post("/oauth2/token", &refresh), post("/oauth2/token", &refresh)];
    for (request, bound) in requests.into_iter().zip([6, 1]) {
        let began = tokio::time::Instant::now();
        let http = HttpClient::new(client.clone());
        let response = http.exchange(AT, request, Duration::from_secs(8)).await.unwrap();
        assert_eq!(
            (response.status(), &response.headers()["retry-after"]),
            (503.try_into().unwrap(), &HeaderValue::from_static("1"))
        );
        assert!(began.elapsed() < Duration::from_secs(bound), "{:?}", began.elapsed());
    }
    assert!(began.elapsed() < Duration::from_secs(7));
    memory.disk.fail(None);
    sleep(Duration::from_secs(2)).await;
    login(&client, 8).await;
}

#[tokio::test(start_paused = true)]
async fn a_long_log_is_compacted_without_losing_anything() {
    let memory = Memory::default();
    let machine = memory.machine("auth-1");
    let open = || {
        let (disk, worker) = (machine.disk.clone(), machine.tasks.worker("log"));
        Log::open(disk, worker, [1; 32], AuthLimits::default())
    };
    let (log, state) = open().await.unwrap();
    let state = std::sync::Arc::new(std::sync::Mutex::new(state));
    let (commits, line) = Commits::new();
    let writers_state = state.clone();
    machine.spawn("log", async move {
        log.run(line, move || writers_state.lock().unwrap().to_snapshot(0)).await;
    });
    for n in 0..500_u32 {
        let family = Family {
            user: UserId(1),
            scopes: vec!["x".repeat(20_000)],
            fingerprint: [n as u8; 32],
            expires_ms: 1,
        };
        let record = Record::Family(FamilyId([(n % 3) as u8; 16]), family);
        state.lock().unwrap().apply(&record);
        commits.put(vec![record]).await.unwrap();
    }
    drop(commits);
    memory.disk.power_loss(&mut |_| 1);
    let files = machine.disk.list().unwrap();
    assert!(files[0].as_str() > "auth-0000000004.log", "{files:?}");
    assert!(memory.disk.size() < 4 * 1024 * 1024, "{} bytes", memory.disk.size());
    let recovered: State = open().await.unwrap().1;
    assert_eq!(recovered, *state.lock().unwrap());
}
