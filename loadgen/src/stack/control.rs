//! Orders to a stack that runs, through a socket in its folder: a line of JSON each, and a line that answers it.

use super::parts::{Action, State};
use serde::{Deserialize, Serialize};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{sleep, timeout};

/// The socket in the folder of a stack.
const SOCKET: &str = "control";
/// Longest path of a socket: `sun_path` of unix(7) has 108 bytes, one of which ends it.
const PATH_MAX: usize = 107;
/// Longest line.
const LINE_MAX: u64 = 64 * 1024;
/// How long an answer may take: to kill a part is to wait until all of its processes are gone.
const PATIENCE: Duration = Duration::from_secs(30);
/// Until somebody is let in again after one could not be.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// What a stack is asked to do; without a action it tells how it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// What to do.
    pub action: Option<Action>,
    /// To which parts.
    pub parts: Vec<String>,
}

/// A part of a stack.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// What it is called.
    pub name: String,
    /// How it is.
    pub state: State,
    /// The number of its process.
    pub process: Option<u32>,
    /// Where its complaints go.
    pub log: String,
}

/// All parts after an order, or why it was refused.
pub type Answer = Result<Vec<Part>, String>;
/// An order, and where its answer goes.
pub type Ordered = (Order, oneshot::Sender<Answer>);

/// Begins to listen in the folder of a stack, for this user alone. What an earlier stack has left there is removed.
///
/// # Errors
/// Its path is too long, or the system refuses.
pub fn listen(folder: &Path) -> io::Result<UnixListener> {
    let path = socket(folder)?;
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(&path)?;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

/// Passes on what comes, one order after another.
pub async fn serve(door: UnixListener, orders: mpsc::Sender<Ordered>) {
    loop {
        let Ok((stream, _)) = door.accept().await else {
            // It went before it was let in, or this process has no descriptor left for it.
            sleep(LOOK_AGAIN).await;
            continue;
        };
        // Who says nothing keeps the others waiting for so long, and no longer.
        let _ = timeout(PATIENCE, serve_one(stream, &orders)).await;
    }
}

async fn serve_one(mut stream: UnixStream, orders: &mpsc::Sender<Ordered>) -> io::Result<()> {
    let answer = match serde_json::from_str(&line(&mut stream).await?) {
        Ok(order) => {
            let (answer, answered) = oneshot::channel();
            let _ = orders.send((order, answer)).await;
            answered.await.unwrap_or_else(|_| Err("the stack ends".to_owned()))
        }
        Err(error) => Err(format!("expected an order: {error}")),
    };
    let line = serde_json::to_string(&answer).map_err(io::Error::other)?;
    stream.write_all(format!("{line}\n").as_bytes()).await
}

/// Gives an order to the stack in a folder.
///
/// # Errors
/// There is none, or it does not answer.
pub async fn ask(folder: &Path, order: &Order) -> io::Result<Answer> {
    let exchange = async {
        let mut stream = UnixStream::connect(socket(folder)?).await?;
        let order = serde_json::to_string(order).map_err(io::Error::other)?;
        stream.write_all(format!("{order}\n").as_bytes()).await?;
        serde_json::from_str(&line(&mut stream).await?).map_err(io::Error::other)
    };
    timeout(PATIENCE, exchange).await?
}

async fn line(stream: &mut UnixStream) -> io::Result<String> {
    let mut line = String::new();
    BufReader::new(stream.take(LINE_MAX)).read_line(&mut line).await?;
    Ok(line)
}

fn socket(folder: &Path) -> io::Result<PathBuf> {
    let path = folder.join(SOCKET);
    if path.as_os_str().len() <= PATH_MAX {
        return Ok(path);
    }
    let why = format!(
        "the path {} is longer than the {PATH_MAX} bytes of a socket's: choose another folder with --data",
        path.display()
    );
    Err(io::Error::new(io::ErrorKind::InvalidInput, why))
}
