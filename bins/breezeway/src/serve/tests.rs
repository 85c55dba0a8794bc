use std::net::Ipv4Addr;

use http::Response;
use http_body_util::{BodyExt, Full};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    task::JoinHandle,
};
use tower::{BoxError, util::BoxCloneSyncService};

use super::*;

const SHORT: Duration = Duration::from_millis(150);
const LONG: Duration = Duration::from_secs(20);

/// A server that answers how long a body was, or that it broke off.
struct Server {
    address: SocketAddr,
    accepting: JoinHandle<()>,
}

impl Server {
    #[expect(clippy::disallowed_methods, reason = "a test's own task, ended with the test")]
    async fn start(most: usize, waits: Waits) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let service = tower::service_fn(async |request: hyper::Request<Patient<Incoming>>| {
            let text = match request.into_body().collect().await {
                Ok(body) => format!("{} bytes", body.to_bytes().len()),
                Err(error) => error.to_string(),
            };
            let body = Full::new(bytes::Bytes::from(text)).map_err(|never| -> BoxError { match never {} });
            Ok::<_, Infallible>(Response::new(body.boxed_unsync()))
        });
        let service = BoxCloneSyncService::new(service);
        let accepting = tokio::spawn(async move {
            Connections::new(service, most, waits).accept(&listener).await;
        });
        Self { address, accepting }
    }

    /// Send `text`, nothing more, and read until the server closes the connection.
    async fn answer_to(&self, text: &str) -> String {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(text.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        let read = timeout(LONG, stream.read_to_end(&mut answer)).await.expect("the server closes in time");
        // A reset is a close too.
        let _ = read;
        String::from_utf8_lossy(&answer).into_owned()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

#[tokio::test]
async fn a_client_that_says_nothing_or_stops_in_the_head_loses_its_connection() {
    let server = Server::start(8, Waits { head: SHORT, body: LONG }).await;

    for begun in ["", "P", "PRI * HTTP/2.0\r\n\r\nSM", "GET /", "POST / HTTP/1.1\r\nHost: a\r\nX-Slow: "] {
        let answer = server.answer_to(begun).await;

        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 408"), "{begun:?}: {answer}");
    }
}

#[tokio::test]
async fn a_short_request_is_not_taken_for_a_silent_client() {
    let server = Server::start(8, Waits { head: SHORT, body: LONG }).await;

    let answer = server.answer_to("GET / HTTP/1.0\r\n\r\n").await;

    assert!(answer.ends_with("\r\n0 bytes"), "{answer}");
}

#[tokio::test]
async fn a_body_that_stops_coming_is_given_up() {
    let server = Server::start(8, Waits { head: LONG, body: SHORT }).await;

    let answer = server
        .answer_to("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\nConnection: close\r\n\r\nabc")
        .await;

    assert!(answer.ends_with("the client sends no more of its request's body"), "{answer}");
}

#[tokio::test]
async fn a_silent_client_gives_its_place_to_the_next() {
    let server = Server::start(1, Waits { head: SHORT, body: SHORT }).await;

    let silent = TcpStream::connect(server.address).await.unwrap();
    let answer = server.answer_to("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await;

    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    drop(silent);
}
