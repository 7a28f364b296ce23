//! One page on loopback, and who asks for anything else.

use std::io::{self, BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;

const PAGE: &str = "/page.html";

/// Serves for as long as the process lives.
pub struct Server {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Server {
    /// Serves this page.
    pub fn of(page: String) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let server = Self { address: listener.local_addr()?, asked: Arc::default() };
        let asked = Arc::clone(&server.asked);
        spawn(move || {
            let page: Arc<str> = page.into();
            for stream in listener.incoming().flatten() {
                let (page, asked) = (Arc::clone(&page), Arc::clone(&asked));
                // A browser that goes away has what it wanted.
                spawn(move || answer(stream, &page, &asked).unwrap_or_default());
            }
        });
        Ok(server)
    }

    pub fn address(&self) -> String {
        format!("http://{}{PAGE}", self.address)
    }

    /// How often the page was asked for.
    pub fn served(&self) -> usize {
        self.asked().iter().filter(|path| *path == PAGE).count()
    }

    /// What else was asked for.
    pub fn others(&self) -> Vec<String> {
        self.asked().iter().filter(|path| *path != PAGE).cloned().collect()
    }

    fn asked(&self) -> MutexGuard<'_, Vec<String>> {
        lock(&self.asked)
    }
}

fn answer(mut stream: TcpStream, page: &str, asked: &Mutex<Vec<String>>) -> io::Result<()> {
    let mut request = BufReader::new(stream.try_clone()?);
    let mut line = String::new();
    request.read_line(&mut line)?;
    // A browser connects in advance, and may say nothing then.
    let Some(path) = line.split(' ').nth(1).map(str::to_owned) else { return Ok(()) };
    let mut head = line;
    while request.read_line(&mut head)? > 2 {}
    let (status, body) = if path == PAGE { ("200 OK", page) } else { ("404 Not Found", "") };
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
