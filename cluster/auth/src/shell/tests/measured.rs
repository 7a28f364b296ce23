//! Requests in numbers.

use super::*;

#[tokio::test(start_paused = true)]
async fn requests_are_counted_by_what_they_ask_for_and_how_they_are_answered() {
    let memory = Memory::default();
    let _trigger = start(&memory).await;
    let client = memory.machine("client");
    let refresh_token = login(&client, 1).await.refresh_token.unwrap();
    let refresh = format!("grant_type=refresh_token&refresh_token={refresh_token}");
    tokens(&client, &refresh).await;
    for (path, form) in [
        ("/oauth2/token", "grant_type=password&username=1&password=no"),
        ("/oauth2/token", "grant_type=client_credentials"),
        ("/oauth2/token", "grant_type=magic"),
        ("/oauth2/revoke", "token=unknown"),
        ("/oauth2/users/1/revoke", ""),
        ("/oauth2/users/2/revoke", ""),
    ] {
        send(&client, post(path, form)).await;
    }
    send(&client, Request::get("/oauth2/jwks").body(Full::default()).unwrap()).await;
    let told = [
        ("password", "2xx", 1),
        ("password", "4xx", 1),
        ("refresh_token", "2xx", 1),
        ("client_credentials", "4xx", 1),
        ("token", "4xx", 1),
        ("revoke", "2xx", 1),
        ("revoke_user", "4xx", 2),
        ("keys", "2xx", 1),
    ];
    for (operation, status, count) in told {
        let labels = [("operation", operation), ("status", status)];
        let counted = memory.telemetry.counted_of("auth_requests_total", &labels);
        assert_eq!(counted, count, "{labels:?}");
    }
    assert_eq!(memory.telemetry.counted("auth_requests_total"), 9);
    assert_eq!(memory.telemetry.counted("auth_request_seconds"), 9);
    let timed = [("operation", "password")];
    assert_eq!(memory.telemetry.counted_of("auth_request_seconds", &timed), 2);
    assert!(memory.telemetry.took("auth_request_seconds") > Duration::ZERO, "it writes to a disk");
}
