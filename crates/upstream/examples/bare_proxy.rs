//! The least a proxy can do, for `cargo xtask bench` to compare with.
//!
//! A hyper server in front of a hyper client: no rights, no limits, no accounting, and the bytes
//! of both bodies pass through as they come. It takes the upstream's address, listens on a free
//! port of loopback, prints where, and runs until it is ended.

use std::{convert::Infallible, error::Error, net::SocketAddr};

use http::{
    Request, Response, StatusCode,
    uri::{Authority, Scheme, Uri},
};
use http_body_util::{BodyExt, Empty, combinators::BoxBody};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioIo},
};
use tokio::net::{TcpListener, TcpStream};

type Upstream = Client<HttpConnector, Incoming>;
type Answer = Response<BoxBody<bytes::Bytes, hyper::Error>>;

#[tokio::main]
#[expect(clippy::print_stdout, reason = "whoever starts it reads the address there")]
async fn main() -> Result<(), Box<dyn Error>> {
    let upstream = std::env::args().nth(1).ok_or("usage: bare_proxy <address of the upstream>")?;
    let upstream: Authority = upstream.parse()?;
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    let client = Client::builder(TokioExecutor::new()).build(connector);

    let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await?;
    println!("{}", listener.local_addr()?);
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        serve(stream, client.clone(), upstream.clone());
    }
}

#[expect(clippy::disallowed_methods, reason = "this program is ended from outside and drains nothing")]
fn serve(stream: TcpStream, client: Upstream, upstream: Authority) {
    let service = service_fn(move |request| forward(client.clone(), upstream.clone(), request));
    tokio::spawn(async move {
        // A peer that hangs up is the usual end of a connection here.
        let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
    });
}

async fn forward(
    client: Upstream,
    upstream: Authority,
    mut request: Request<Incoming>,
) -> Result<Answer, Infallible> {
    let mut parts = std::mem::take(request.uri_mut()).into_parts();
    parts.scheme = Some(Scheme::HTTP);
    parts.authority = Some(upstream);
    let answer = match Uri::from_parts(parts) {
        Ok(uri) => {
            *request.uri_mut() = uri;
            client.request(request).await.ok()
        }
        Err(_) => None,
    };
    Ok(answer.map_or_else(bad_gateway, |answer| answer.map(BodyExt::boxed)))
}

fn bad_gateway() -> Answer {
    let mut answer = Response::new(Empty::new().map_err(|never| match never {}).boxed());
    *answer.status_mut() = StatusCode::BAD_GATEWAY;
    answer
}
