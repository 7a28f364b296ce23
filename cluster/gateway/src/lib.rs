//! The WebSocket and REST front of the cluster: sessions, subscriptions, backpressure, drain.
