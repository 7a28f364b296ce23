//! Virtual users: arrivals, sessions, measuring, and real runs over sockets.
