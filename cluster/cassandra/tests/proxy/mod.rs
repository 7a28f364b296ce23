//! A stretch of network in front of the server, in which bytes stay or get lost.

use super::support::told;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What becomes of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// They pass.
    Pass = 0,
    /// Requests stay where they are, on all connections that there are by now.
    HoldRequests = 1,
    /// Requests pass, answers are lost.
    LoseAnswers = 2,
}

/// Connections through it, until it is dropped.
pub struct Proxy {
    pub address: SocketAddr,
    mode: Arc<AtomicU8>,
    open: Arc<Mutex<Vec<TcpStream>>>,
}

impl Proxy {
    pub fn open() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
        let address = listener.local_addr().expect("an address");
        let (mode, open) = (Arc::new(AtomicU8::new(0)), Arc::default());
        let proxy = Self { address, mode: Arc::clone(&mode), open: Arc::clone(&open) };
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let Ok(client) = client else { return };
                let Ok(server) = TcpStream::connect(told("FRACAS_CASSANDRA")) else { continue };
                let ours = |stream: &TcpStream| stream.try_clone().expect("a copy");
                open.lock().expect("no panic").extend([ours(&client), ours(&server)]);
                let (from, to) = (ours(&client), ours(&server));
                pump(from, to, Arc::clone(&mode), Mode::HoldRequests);
                pump(server, client, Arc::clone(&mode), Mode::LoseAnswers);
            }
        });
        proxy
    }

    pub fn set(&self, mode: Mode) {
        self.mode.store(mode as u8, Ordering::SeqCst);
    }

    /// All connections are cut.
    pub fn cut(&self) {
        for stream in self.open.lock().expect("no panic").drain(..) {
            // It may be closed.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

fn pump(mut from: TcpStream, mut to: TcpStream, mode: Arc<AtomicU8>, stopped_by: Mode) {
    std::thread::spawn(move || {
        let mut buffer = [0; 65_536];
        while let Ok(length) = from.read(&mut buffer) {
            if length == 0 {
                break;
            }
            let is = || mode.load(Ordering::SeqCst) == stopped_by as u8;
            if is() && stopped_by == Mode::LoseAnswers {
                continue;
            }
            while is() {
                std::thread::sleep(Duration::from_millis(1));
            }
            if to.write_all(&buffer[..length]).is_err() {
                break;
            }
        }
        let _ = to.shutdown(Shutdown::Both);
    });
}
