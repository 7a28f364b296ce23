//! HTTP and WebSockets by hand: a library would not let anybody be rude.

pub mod attacks;
pub mod cluster;
pub mod crowds;
pub mod pair;

use serde_json::Value;
use socket2::{Domain, Protocol, Socket, Type};
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

/// The subprotocol of everybody.
pub const JSON: &str = "fracas.v1.json";
/// The first byte of a whole text message.
pub const TEXT: u8 = 0x81;
/// The opcode of the end.
pub const CLOSE: u8 = 0x88;
/// How long anybody waits for the gateway, to see now and then whether it is over.
const PATIENCE: Duration = Duration::from_millis(200);

/// A connection from an address of this host. `window`: bytes that its socket holds unread.
pub fn connect(from: Ipv4Addr, to: SocketAddr, window: Option<usize>) -> io::Result<TcpStream> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP))?;
    if let Some(bytes) = window {
        socket.set_recv_buffer_size(bytes)?;
    }
    socket.bind(&SocketAddr::from((from, 0)).into())?;
    socket.connect_timeout(&to.into(), PATIENCE)?;
    let stream = TcpStream::from(socket);
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    Ok(stream)
}

/// A request that asks for a WebSocket, with more headers, each with its line end.
pub fn upgrade_request(subprotocol: &str, more: &str) -> String {
    format!(
        "GET /v1/ws HTTP/1.1\r\nHost: gateway\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
         Sec-WebSocket-Protocol: {subprotocol}\r\n{more}\r\n"
    )
}

/// The status and the headers of an answer; what follows is still to be read.
pub fn head(stream: &mut TcpStream) -> io::Result<(u16, String)> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let status = head.split(' ').nth(1).and_then(|word| word.parse().ok());
    Ok((status.ok_or(io::ErrorKind::InvalidData)?, head))
}

/// A WebSocket on a fresh connection.
pub fn upgraded(mut stream: TcpStream) -> io::Result<TcpStream> {
    stream.write_all(upgrade_request(JSON, "").as_bytes())?;
    match head(&mut stream)? {
        (101, _) => Ok(stream),
        _ => Err(io::ErrorKind::ConnectionRefused.into()),
    }
}

/// A frame of a client, masked with zeros.
pub fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![first];
    match payload.len() {
        length @ 0..126 => bytes.push(0x80 | length as u8),
        length @ 126..0x1_0000 => {
            bytes.push(0x80 + 126);
            bytes.extend((length as u16).to_be_bytes());
        }
        length => {
            bytes.push(0x80 + 127);
            bytes.extend((length as u64).to_be_bytes());
        }
    }
    bytes.extend([0; 4]);
    bytes.extend(payload);
    bytes
}

/// A text message.
pub fn text(frame_of: &Value) -> Vec<u8> {
    frame(TEXT, frame_of.to_string().as_bytes())
}

/// The next frame of the server: its first byte and its payload.
pub fn received(stream: &mut impl Read) -> io::Result<(u8, Vec<u8>)> {
    let mut head = [0; 2];
    stream.read_exact(&mut head)?;
    let length = match head[1] {
        126 => {
            let mut bytes = [0; 2];
            stream.read_exact(&mut bytes)?;
            u64::from(u16::from_be_bytes(bytes))
        }
        127 => {
            let mut bytes = [0; 8];
            stream.read_exact(&mut bytes)?;
            u64::from_be_bytes(bytes)
        }
        length => u64::from(length),
    };
    let mut payload = vec![0; length as usize];
    stream.read_exact(&mut payload)?;
    Ok((head[0], payload))
}

/// One request on a connection of its own: the status and the body.
pub fn exchange(
    from: Ipv4Addr,
    to: SocketAddr,
    request_line: &str,
    headers: &str,
    body: &str,
) -> io::Result<(u16, String)> {
    let mut stream = connect(from, to, None)?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    let length = body.len();
    let request = format!(
        "{request_line} HTTP/1.1\r\nHost: gateway\r\nConnection: close\r\n\
         Content-Length: {length}\r\n{headers}\r\n{body}"
    );
    stream.write_all(request.as_bytes())?;
    let (status, _) = head(&mut stream)?;
    let mut body = String::new();
    stream.read_to_string(&mut body)?;
    Ok((status, body))
}
