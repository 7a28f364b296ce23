//! A connection that can be ended from outside. `lapin` reads in a thread of its own, which waits for its socket
//! without a deadline until the connection is made, and again while it is closed: a peer that accepts and says
//! nothing would keep it, and its socket, for ever.

use crate::config::RabbitConfig;
use lapin::tcp::{AsyncTcpStream, OwnedTLSConfig};
use lapin::uri::{AMQPAuthority, AMQPQueryString, AMQPScheme, AMQPUri, AMQPUserInfo};
use lapin::{Connection, ConnectionProperties};
use ports::{Machine, entered};
use std::io;
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::fd::AsFd;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::net::lookup_host;
use tokio::time::timeout;

/// Both sides send a sign of life at half of this; one that is silent for this long, or for twice as long at
/// most, is gone. The least that RabbitMQ's guide calls free of false alarms
/// (<https://www.rabbitmq.com/docs/heartbeats>); a consumer whose link was cut stands in the way of the next one
/// for so long.
const HEARTBEAT_SECONDS: u16 = 5;
/// How long a TCP connection may take to be made.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// The socket of a connection. Dropping it ends the connection.
pub struct Wire(Arc<Mutex<Socket>>);

#[derive(Default)]
enum Socket {
    /// There is none yet.
    #[default]
    None,
    /// Another handle of the one that is read.
    There(TcpStream),
    /// There will not be any more.
    Cut,
}

impl Wire {
    /// The connection ends, at once.
    pub fn cut(&self) {
        if let Socket::There(socket) = std::mem::replace(&mut *entered(self.0.lock()), Socket::Cut)
        {
            // It may have ended by itself.
            let _ = socket.shutdown(Shutdown::Both);
        }
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.cut();
    }
}

/// Connects to `host:port`.
pub async fn connect(
    machine: &Machine,
    config: &RabbitConfig,
    address: &str,
    purpose: &str,
) -> lapin::Result<(Connection, Wire)> {
    let properties = ConnectionProperties::default()
        .with_connection_name(format!("{} {purpose}", machine.name).into());
    let trusted = OwnedTLSConfig { identity: None, cert_chain: config.authority.clone() };
    let runtime = lapin::runtime::default_runtime()?;
    let wire = Wire(Arc::default());
    let (socket, reactor) = (Arc::clone(&wire.0), runtime.clone());
    let reach = async move |uri: AMQPUri, _| {
        let AMQPAuthority { host, port, .. } = &uri.authority;
        let reached = async {
            let all: Vec<SocketAddr> = lookup_host((host.as_str(), *port)).await?.collect();
            AsyncTcpStream::connect(&reactor, all).await
        };
        let stream = timeout(CONNECT_TIMEOUT, reached).await.map_err(io::Error::from)??;
        if let AsyncTcpStream::Plain(stream) = &stream {
            keep(&socket, stream.get_ref().as_fd().try_clone_to_owned()?.into())?;
        }
        Ok(match uri.scheme {
            AMQPScheme::AMQP => stream,
            AMQPScheme::AMQPS => stream.into_tls(host, trusted.as_ref()).await?,
        })
    };
    let connection =
        Connection::connector(uri(config, address), runtime, reach, properties).await?;
    Ok((connection, wire))
}

/// There is a socket, unless nobody wants one any more.
fn keep(wire: &Mutex<Socket>, socket: TcpStream) -> io::Result<()> {
    let mut kept = entered(wire.lock());
    if matches!(*kept, Socket::Cut) {
        return Err(io::ErrorKind::ConnectionAborted.into());
    }
    *kept = Socket::There(socket);
    Ok(())
}

fn uri(config: &RabbitConfig, address: &str) -> AMQPUri {
    let scheme = if config.tls { AMQPScheme::AMQPS } else { AMQPScheme::AMQP };
    let (host, port) = address.rsplit_once(':').unwrap_or((address, ""));
    AMQPUri {
        authority: AMQPAuthority {
            userinfo: AMQPUserInfo {
                username: config.user.clone(),
                password: config.password.expose().clone(),
            },
            host: host.trim_matches(['[', ']']).to_owned(),
            port: port.parse().unwrap_or_else(|_| scheme.default_port()),
        },
        scheme,
        vhost: config.virtual_host.clone(),
        query: AMQPQueryString { heartbeat: Some(HEARTBEAT_SECONDS), ..Default::default() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    /// Threads in which `lapin` waits for a socket.
    fn waiting() -> usize {
        let threads = std::fs::read_dir("/proc/self/task").unwrap().flatten();
        let name = |thread: std::fs::DirEntry| std::fs::read_to_string(thread.path().join("comm"));
        threads
            .filter_map(|thread| name(thread).ok())
            .filter(|name| name.starts_with("lapin-io"))
            .count()
    }

    #[cfg(target_os = "linux")]
    #[tokio::test(flavor = "multi_thread")]
    async fn whoever_accepts_and_says_nothing_keeps_no_thread() {
        let silent = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = silent.local_addr().unwrap().to_string();
        let machine = fakes::Memory::default().machine("gateway-1");
        for tls in [false, true] {
            let config = RabbitConfig {
                addresses: vec![address.clone()],
                user: "chat".to_owned(),
                password: protocol::Secret::from("a-secret".to_owned()),
                virtual_host: "/".to_owned(),
                tls,
                authority: None,
                prefix: "fracas".to_owned(),
                quorum_queues: true,
                management: None,
                limits: protocol::limits::BrokerLimits::default(),
            };
            for _ in 0..3 {
                let connecting = connect(&machine, &config, &address, "publishing");
                let made = timeout(Duration::from_millis(300), connecting).await;
                assert!(made.is_err(), "it does not answer");
            }
        }
        for _ in 0..100 {
            if waiting() == 0 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("{} threads wait for ever", waiting());
    }
}
