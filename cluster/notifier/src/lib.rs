//! Push notifications for offline members: retry, backoff, circuit breaker, dead letters.
