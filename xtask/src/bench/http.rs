//! As much of HTTP/1.1 as two ends on one machine need to talk over a kept connection.

use std::{
    io::{BufRead, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use anyhow::{Context as _, bail, ensure};

/// No call on loopback takes longer.
const PATIENCE: Duration = Duration::from_secs(20);

/// The longest line of a head, and the longest body, that is read.
const LINE_LIMIT: u64 = 16 << 10;
const BODY_LIMIT: usize = 16 << 20;

/// A request as bytes.
pub(super) fn request(method: &str, path: &str, host: SocketAddr, key: Option<&str>, body: &[u8]) -> Vec<u8> {
    let mut head = format!("{method} {path} HTTP/1.1\r\nhost: {host}\r\n");
    if let Some(key) = key {
        head += &format!("authorization: Bearer {key}\r\n");
    }
    if method == "POST" {
        head += &format!("content-type: application/json\r\ncontent-length: {}\r\n", body.len());
    }
    let mut bytes = (head + "\r\n").into_bytes();
    bytes.extend_from_slice(body);
    bytes
}

/// What was read of a message: its first line, then its body.
pub(super) struct Message {
    pub(super) first_line: String,
    pub(super) body: Vec<u8>,
}

/// One end of a kept connection.
pub(super) struct Connection {
    stream: BufReader<TcpStream>,
}

impl Connection {
    pub(super) fn open(address: SocketAddr) -> anyhow::Result<Self> {
        let stream = TcpStream::connect_timeout(&address, PATIENCE)
            .with_context(|| format!("cannot connect to {address}"))?;
        Self::over(stream)
    }

    pub(super) fn over(stream: TcpStream) -> anyhow::Result<Self> {
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Self { stream: BufReader::with_capacity(64 << 10, stream) })
    }

    pub(super) fn send(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        Ok(self.stream.get_mut().write_all(bytes)?)
    }

    /// Sends a request and reads the answer into `message`; gives the status.
    pub(super) fn call(&mut self, request: &[u8], message: &mut Message) -> anyhow::Result<u16> {
        self.send(request)?;
        ensure!(receive(&mut self.stream, message)?, "the peer closed the connection before it answered");
        let status = message.first_line.split(' ').nth(1).and_then(|status| status.parse().ok());
        status.with_context(|| format!("`{}` is no status line", message.first_line))
    }

    /// Reads the next request; `false` when the peer has closed.
    pub(super) fn receive(&mut self, message: &mut Message) -> anyhow::Result<bool> {
        receive(&mut self.stream, message)
    }
}

impl Message {
    /// Room for a message; it is used again for the next one.
    pub(super) fn new() -> Self {
        Self { first_line: String::new(), body: Vec::new() }
    }
}

fn receive(stream: &mut impl BufRead, message: &mut Message) -> anyhow::Result<bool> {
    message.body.clear();
    message.first_line.clear();
    let mut line = String::new();
    if !read_line(stream, &mut line)? {
        return Ok(false);
    }
    std::mem::swap(&mut message.first_line, &mut line);
    let mut length = 0;
    let mut chunked = false;
    loop {
        ensure!(read_line(stream, &mut line)?, "the connection ended inside a head");
        if line.is_empty() {
            break;
        }
        let Some((name, value)) = line.split_once(':') else { continue };
        if name.eq_ignore_ascii_case("content-length") {
            length = value.trim().parse().context("the content length is no number")?;
        } else if name.eq_ignore_ascii_case("transfer-encoding") {
            chunked = value.trim().eq_ignore_ascii_case("chunked");
        }
    }
    if !chunked {
        read_body(stream, length, &mut message.body)?;
        return Ok(true);
    }
    loop {
        ensure!(read_line(stream, &mut line)?, "the connection ended inside a body");
        let size = line.split(';').next().unwrap_or_default().trim();
        let size = usize::from_str_radix(size, 16).with_context(|| format!("`{line}` is no chunk size"))?;
        read_body(stream, size, &mut message.body)?;
        // The line break behind a chunk; behind the last one, the end of no trailers.
        ensure!(read_line(stream, &mut line)? && line.is_empty(), "a chunk is longer than it says");
        if size == 0 {
            return Ok(true);
        }
    }
}

fn read_line(stream: &mut impl BufRead, line: &mut String) -> anyhow::Result<bool> {
    line.clear();
    if stream.by_ref().take(LINE_LIMIT).read_line(line)? == 0 {
        return Ok(false);
    }
    if !line.ends_with('\n') {
        bail!("a line is longer than {LINE_LIMIT} bytes or was cut off");
    }
    line.truncate(line.trim_end_matches(['\r', '\n']).len());
    Ok(true)
}

fn read_body(stream: &mut impl BufRead, length: usize, body: &mut Vec<u8>) -> anyhow::Result<()> {
    let start = body.len();
    ensure!(length <= BODY_LIMIT - start.min(BODY_LIMIT), "a body is longer than {BODY_LIMIT} bytes");
    body.resize(start + length, 0);
    Ok(stream.read_exact(&mut body[start..])?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bodies(mut bytes: &[u8]) -> Vec<String> {
        let mut message = Message::new();
        let mut bodies = Vec::new();
        while receive(&mut bytes, &mut message).unwrap() {
            bodies.push(String::from_utf8(message.body.clone()).unwrap());
        }
        bodies
    }

    #[test]
    fn messages_on_one_connection_are_told_apart() {
        let bytes = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\noneHTTP/1.1 204 No Content\r\n\r\n";

        assert_eq!(bodies(bytes), ["one", ""]);
    }

    #[test]
    fn a_body_in_chunks_is_put_together() {
        let bytes =
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n2;x=y\r\ntw\r\n0\r\n\r\n";

        assert_eq!(bodies(bytes), ["onetw"]);
    }

    #[test]
    fn a_length_nobody_can_mean_is_refused() {
        let mut bytes: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 99999999999\r\n\r\n";

        assert!(receive(&mut bytes, &mut Message::new()).is_err());
    }
}
