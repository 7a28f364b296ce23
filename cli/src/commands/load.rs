//! `fracas load`: a scenario on real sockets.
