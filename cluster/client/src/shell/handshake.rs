//! The opening handshake of a WebSocket, read to its end and no further.
//!
//! What the WebSocket library reads during a handshake becomes the buffer of the socket, with its four
//! kilobytes and for as long as the socket lives. A handshake that ends with the head of the answer
//! leaves nothing in it, and the socket begins with a buffer of the size that it was given.

use futures_util::FutureExt;
use ports::Stream;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_tungstenite::tungstenite::Error;
use tokio_tungstenite::tungstenite::handshake::client::Request;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

/// The client's end of a WebSocket.
pub type WebSocket = WebSocketStream<Box<dyn Stream>>;

/// A socket whose handshake is over.
pub struct Opened {
    pub socket: WebSocket,
    /// Nothing of the server's has been read into it.
    pub is_unread: bool,
}

/// Upgrades a stream.
pub async fn upgrade(
    request: Request,
    stream: Box<dyn Stream>,
    config: WebSocketConfig,
) -> Result<Opened, Error> {
    let head = Head { stream, end: End::default(), behind: Vec::new() };
    let (socket, _) = client_async_with_config(request, head, Some(config)).await?;
    let Head { stream, behind, .. } = socket.into_inner();
    let is_unread = behind.is_empty();
    let socket = WebSocketStream::from_partially_read(stream, behind, Role::Client, Some(config));
    Ok(Opened { socket: socket.await, is_unread })
}

/// The same socket without its buffers, of which nothing was read, and everything that it was given was
/// written.
pub fn without_buffers(socket: WebSocket) -> WebSocket {
    let config = *socket.get_config();
    let stream = socket.into_inner();
    let socket = WebSocketStream::from_raw_socket(stream, Role::Client, Some(config));
    socket.now_or_never().expect("it waits for nothing")
}

/// A stream whose reader is given the head of an answer and not what follows it.
struct Head {
    stream: Box<dyn Stream>,
    end: End,
    /// What was read behind the head.
    behind: Vec<u8>,
}

/// Looks for the empty line that ends a head (RFC 9112, section 2.1), bytes in pieces of any size.
#[derive(Default)]
struct End {
    line_is_empty: bool,
}

impl End {
    /// Where the head ends in the next bytes, if it does.
    fn find(&mut self, bytes: &[u8]) -> Option<usize> {
        for (at, byte) in bytes.iter().enumerate() {
            match byte {
                b'\n' if self.line_is_empty => return Some(at + 1),
                b'\n' => self.line_is_empty = true,
                // A line may end with a line feed alone.
                b'\r' => {}
                _ => self.line_is_empty = false,
            }
        }
        None
    }
}

impl AsyncRead for Head {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(context, buffer))?;
        if let Some(length) = self.end.find(&buffer.filled()[before..]) {
            self.behind.extend_from_slice(&buffer.filled()[before + length..]);
            buffer.set_filled(before + length);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Head {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::StreamExt;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
    use tokio_tungstenite::tungstenite::Message;
    use tokio_tungstenite::tungstenite::client::IntoClientRequest;
    use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

    #[test]
    fn a_head_ends_with_an_empty_line_however_it_is_cut() {
        for (text, length) in [
            ("HTTP/1.1 101 ok\r\na: b\r\n\r\nrest", 25),
            ("HTTP/1.1 101 ok\n\nrest", 17),
            ("HTTP/1.1 101 ok\r\na: b\r\n", 0),
        ] {
            for cut in 0..text.len() {
                let (mut end, bytes) = (End::default(), text.as_bytes());
                let first = end.find(&bytes[..cut]);
                let found = first.or_else(|| Some(cut + end.find(&bytes[cut..])?));
                assert_eq!(found.unwrap_or(0), length, "{text:?} cut at {cut}");
            }
        }
    }

    #[tokio::test]
    async fn what_comes_with_the_answer_is_not_lost() {
        let (client, mut server) = duplex(4_096);
        let answering = async move {
            let mut request = vec![0; 1_024];
            let length = server.read(&mut request).await.unwrap();
            let request = String::from_utf8_lossy(&request[..length]).into_owned();
            let key = request.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Key: "));
            let accept = derive_accept_key(key.unwrap().as_bytes());
            let mut answer = format!(
                "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                 Sec-WebSocket-Accept: {accept}\r\n\r\n"
            )
            .into_bytes();
            answer.extend([0x82, 3, 7, 8, 9]);
            server.write_all(&answer).await.unwrap();
            server.write_all(&[0x82, 1, 10]).await.unwrap();
            server
        };
        let request = "ws://gateway/v1/ws".into_client_request().unwrap();
        let config = WebSocketConfig::default();
        let (socket, _server) = tokio::join!(upgrade(request, Box::new(client), config), answering);
        let Opened { mut socket, is_unread } = socket.unwrap();
        assert!(!is_unread);
        for expected in [vec![7, 8, 9], vec![10]] {
            let message = socket.next().await.unwrap().unwrap();
            assert_eq!(message, Message::Binary(expected.into()));
        }
    }
}
