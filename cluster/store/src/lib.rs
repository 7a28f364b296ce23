//! Conversation owners: sequence, de-duplicate, persist, attach, backlog.
