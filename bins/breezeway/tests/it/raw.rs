//! A connection on which a test says what no HTTP client would.

use std::net::SocketAddr;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use crate::gateway::DEADLINE;

/// Bytes out, bytes in. Dropping it closes the connection.
pub(crate) struct Raw {
    stream: TcpStream,
    unread: Vec<u8>,
}

impl Raw {
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.expect("it listens");
        stream.set_nodelay(true).expect("a socket of ours");
        Self { stream, unread: Vec::new() }
    }

    /// Send bytes, as far as the other side takes them.
    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        // A server that has closed already is what some tests are about.
        let _ = timeout(DEADLINE, self.stream.write_all(bytes.as_ref())).await.expect("somebody reads");
    }

    /// Send a request with a JSON body.
    pub(crate) async fn post(&mut self, path: &str, token: &str, body: &serde_json::Value) {
        let body = body.to_string();
        let length = body.len();
        self.send(format!(
            "POST {path} HTTP/1.1\r\nHost: gateway\r\nAuthorization: Bearer {token}\r\n\
             Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
        ))
        .await;
    }

    /// Read until `mark` has come; everything up to and with it.
    ///
    /// # Panics
    /// If the connection ends before.
    pub(crate) async fn until(&mut self, mark: &str) -> String {
        loop {
            let text = String::from_utf8_lossy(&self.unread).into_owned();
            if let Some(at) = find(&self.unread, mark.as_bytes()) {
                let read: Vec<u8> = self.unread.drain(..at + mark.len()).collect();
                return String::from_utf8_lossy(&read).into_owned();
            }
            assert!(self.more().await, "`{mark}` comes; what came is: {text}");
        }
    }

    /// Everything until the other side closes.
    pub(crate) async fn rest(mut self) -> String {
        while self.more().await {}
        String::from_utf8_lossy(&self.unread).into_owned()
    }

    /// Read what is there; `false` at the end, which may be a reset.
    async fn more(&mut self) -> bool {
        let mut piece = [0; 16 * 1024];
        match timeout(DEADLINE, self.stream.read(&mut piece)).await.expect("something comes, or the end") {
            Ok(0) | Err(_) => false,
            Ok(length) => {
                self.unread.extend_from_slice(&piece[..length]);
                true
            }
        }
    }
}

fn find(text: &[u8], wanted: &[u8]) -> Option<usize> {
    text.windows(wanted.len()).position(|window| window == wanted)
}
