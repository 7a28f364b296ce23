//! The words of the cluster: ids, frames, records between nodes, limits, close codes, design choices.
//!
//! Nothing here does I/O, reads a clock, draws randomness or knows a runtime.

#![warn(missing_docs)]

pub mod backoff;
pub mod close;
pub mod codec;
pub mod design;
pub mod development;
pub mod engine;
pub mod entry;
pub mod frames;
pub mod ids;
pub mod limits;
pub mod mix;
mod nearest;
pub mod partition;
pub mod records;
pub mod reject;
pub mod secret;
pub mod store_calls;
pub mod throttle;
pub mod tight;
mod tls_files;
pub mod trace;

pub use close::CloseCode;
pub use design::Design;
pub use engine::StoreEngine;
pub use entry::{Content, Entry};
pub use frames::{ClientFrame, ServerFrame};
pub use ids::{
    ClientMessageId, ConversationId, DeviceId, Epoch, GatewayId, Incarnation, NodeNumber,
    Partition, Sequence, SessionId, UserId,
};
pub use limits::{LimitSet, Limits};
pub use nearest::nearest;
pub use reject::RejectReason;
pub use secret::Secret;
pub use tls_files::TlsFiles;
