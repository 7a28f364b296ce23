//! Looks at the data of nodes that do not run.

use ports::Disk;
use std::error::Error;
use std::io;
use std::sync::Arc;

/// What of a role's data was found.
pub struct Checked {
    /// Whose data it is.
    pub what: &'static str,
    /// What is sound: up to what is wrong, if something is.
    pub sound: String,
    /// What a start would say.
    pub wrong: Option<Wrong>,
}

/// What is wrong with data.
pub struct Wrong {
    /// Whether it is damaged: otherwise it could not be read, which says nothing of it.
    pub is_damage: bool,
    /// In words.
    pub error: Box<dyn Error + Send + Sync>,
}

/// Reads everything in a node's folder; nothing, if no node has used it. Give a disk that keeps changes
/// to itself.
///
/// # Errors
/// The disk refused.
pub fn check(disk: &Arc<dyn Disk>) -> io::Result<Vec<Checked>> {
    let mut found = Vec::new();
    if broker::is_on(&**disk)? {
        let (sound, read) = broker::check(&**disk);
        let wrong = read.err().map(|error| wrong(error.is_damage(), error));
        found.push(Checked { what: "broker", sound: sound.to_string(), wrong });
    }
    if auth::is_on(&**disk)? {
        let (sound, read) = auth::check(&**disk);
        let wrong = read.err().map(|error| wrong(error.is_damage(), error));
        found.push(Checked { what: "auth", sound: sound.to_string(), wrong });
    }
    if store::is_on(&**disk)? {
        let what = "store";
        found.push(match store::check(Arc::clone(disk)) {
            Ok(sound) => Checked { what, sound: sound.to_string(), wrong: None },
            Err(error) => {
                let sound = error.sound().map_or("its log".to_owned(), |sound| sound.to_string());
                Checked { what, sound, wrong: Some(wrong(error.is_damage(), error)) }
            }
        });
    }
    Ok(found)
}

fn wrong(is_damage: bool, error: impl Into<Box<dyn Error + Send + Sync>>) -> Wrong {
    Wrong { is_damage, error: error.into() }
}
