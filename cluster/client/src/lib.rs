//! The chat client: a pure session state machine and its WebSocket and trunk shells.
