//! A peer that speaks bytes instead of HTTP, for what no server would say.

use std::{net::SocketAddr, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
    time::timeout,
};

/// What the peer does once a whole request is there.
#[derive(Clone, Debug)]
pub struct Fault {
    /// Its words, byte for byte.
    pub says: Vec<u8>,
    /// What follows them.
    pub then: Then,
}

/// What follows its words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    /// An end as the protocol has it.
    Close,
    /// An end as of a crashed process.
    Reset,
    /// Nothing, for ever.
    Stall,
}

/// Answers every request alike, and knows how many connections are open.
#[derive(Debug)]
pub struct Peer {
    address: SocketAddr,
    open: watch::Receiver<usize>,
    _accepting: JoinSet<()>,
}

impl Peer {
    /// Start one.
    pub async fn start(fault: Fault) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port is free");
        let address = listener.local_addr().expect("it is bound");
        let (count, open) = watch::channel(0);
        let mut accepting = JoinSet::new();
        accepting.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((socket, _)) = listener.accept().await {
                count.send_modify(|open| *open += 1);
                let (fault, count) = (fault.clone(), count.clone());
                connections.spawn(async move {
                    // Whatever the client does to the connection, it is over then.
                    let _ = serve(socket, &fault).await;
                    count.send_modify(|open| *open -= 1);
                });
            }
        });
        Self { address, open, _accepting: accepting }
    }

    /// The base URL of an OpenAI connection.
    pub fn url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// Wait until no connection is open, which must not take long.
    pub async fn is_left(&mut self) {
        let left = self.open.wait_for(|open| *open == 0);
        timeout(Duration::from_secs(5), left).await.expect("its connections are closed").expect("it runs");
    }
}

async fn serve(mut socket: TcpStream, fault: &Fault) -> std::io::Result<()> {
    read_request(&mut socket).await?;
    socket.write_all(&fault.says).await?;
    match fault.then {
        Then::Close => socket.shutdown().await?,
        Then::Reset => {
            // What was said has to arrive before the reset throws it away.
            tokio::task::yield_now().await;
            socket.set_zero_linger()?;
            return Ok(());
        }
        Then::Stall => {}
    }
    // The client's end of the connection.
    let mut rest = [0; 1024];
    while socket.read(&mut rest).await? > 0 {}
    Ok(())
}

async fn read_request(socket: &mut TcpStream) -> std::io::Result<()> {
    let mut request = Vec::new();
    loop {
        if socket.read_buf(&mut request).await? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        let text = String::from_utf8_lossy(&request).to_ascii_lowercase();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
        if body.len() >= length.unwrap_or(0) {
            return Ok(());
        }
    }
}
