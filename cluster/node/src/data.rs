//! Looks at the data of nodes that do not run.

use ports::Disk;
use std::error::Error;
use std::io;
use std::sync::Arc;

/// What of a role's data was found sound, and what was not.
pub struct Checked {
    /// Whose data it is.
    pub what: &'static str,
    /// What is sound: up to the damage, if there is some.
    pub sound: String,
    /// What a start would say.
    pub error: Option<Box<dyn Error + Send + Sync>>,
}

/// Reads everything in a node's folder; nothing, if no node has used it. Give a disk that keeps changes
/// to itself.
///
/// # Errors
/// The disk refused.
pub fn check(disk: &Arc<dyn Disk>) -> io::Result<Vec<Checked>> {
    let mut found = Vec::new();
    if broker::is_on(&**disk)? {
        found.push(of_log("broker", broker::check(&**disk)));
    }
    if auth::is_on(&**disk)? {
        found.push(of_log("auth", auth::check(&**disk)));
    }
    if store::is_on(&**disk)? {
        found.push(match store::check(Arc::clone(disk)) {
            Ok(sound) => Checked { what: "store", sound: sound.to_string(), error: None },
            Err(store::CheckError::Log { error, sound }) => of_log("store", (sound, Err(error))),
            Err(error) => {
                Checked { what: "store", sound: "its log".to_owned(), error: Some(error.into()) }
            }
        });
    }
    Ok(found)
}

fn of_log<E: Error + Send + Sync + 'static>(
    what: &'static str,
    (sound, read): (impl ToString, Result<(), E>),
) -> Checked {
    Checked { what, sound: sound.to_string(), error: read.err().map(Into::into) }
}
