//! A few pages on loopback, and whatever is asked for.

use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;

/// What is served, by its path.
type Pages = BTreeMap<&'static str, String>;

/// Serves for as long as the process lives.
pub struct Server {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Server {
    /// Serves these pages.
    pub fn of(pages: Pages) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let server = Self { address: listener.local_addr()?, asked: Arc::default() };
        let asked = Arc::clone(&server.asked);
        spawn(move || {
            let pages = Arc::new(pages);
            for stream in listener.incoming().flatten() {
                let (pages, asked) = (Arc::clone(&pages), Arc::clone(&asked));
                // A browser that goes away has what it wanted.
                spawn(move || answer(stream, &pages, &asked).unwrap_or_default());
            }
        });
        Ok(server)
    }

    pub fn address(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// What was asked for so far.
    pub fn asked(&self) -> Vec<String> {
        lock(&self.asked).clone()
    }
}

fn answer(mut stream: TcpStream, pages: &Pages, asked: &Mutex<Vec<String>>) -> io::Result<()> {
    let mut request = BufReader::new(stream.try_clone()?);
    let mut line = String::new();
    request.read_line(&mut line)?;
    // A browser connects in advance, and may say nothing then.
    let Some(path) = line.split(' ').nth(1).map(str::to_owned) else { return Ok(()) };
    let mut head = line;
    while request.read_line(&mut head)? > 2 {}
    let (status, body) = match pages.get(path.as_str()) {
        Some(page) => ("200 OK", page.as_str()),
        None => ("404 Not Found", ""),
    };
    lock(asked).push(path);
    let length = body.len();
    write!(
        stream,
        "HTTP/1.1 {status}\r\ncontent-type: text/html; charset=utf-8\r\ncontent-length: {length}\r\n\
         connection: close\r\n\r\n{body}"
    )
}

#[expect(clippy::disallowed_methods, reason = "a developer's tool, which nothing simulates")]
fn spawn(work: impl FnOnce() + Send + 'static) {
    thread::spawn(work);
}

fn lock(asked: &Mutex<Vec<String>>) -> MutexGuard<'_, Vec<String>> {
    asked.lock().expect("nobody panics with it in hand")
}
