use breezeway_testkit::{Reply, ScriptedUpstream};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::{gateway::Gateway, promptly, time_to_notice};

const MODEL: &str = "llama3.2:latest";

#[tokio::test]
async fn a_client_that_leaves_a_stream_takes_the_upstream_with_it() {
    promptly(|| async {
        let upstream = ScriptedUpstream::start().await;
        let gateway = Gateway::over(&upstream).await;
        upstream.queue("/api/chat", Reply::ndjson([json!({"done": false})]).then_stall());
        let mut answer = gateway.admin().stream("/api/chat", &json!({"model": MODEL, "messages": []})).await;
        answer.line().await.expect("a line comes");

        drop(answer);

        time_to_notice(&upstream.last_at("/api/chat")).await
    })
    .await;
}

#[tokio::test]
async fn a_client_that_leaves_before_the_answer_takes_the_upstream_with_it() {
    promptly(|| async {
        let upstream = ScriptedUpstream::start().await;
        let gateway = Gateway::over(&upstream).await;
        upstream.queue("/api/generate", Reply::stall());
        let client = gateway.admin();
        let body = json!({"model": MODEL, "prompt": "x", "stream": false});

        let received = {
            let call = client.post_json("/api/generate", &body);
            tokio::select! {
                _ = call => panic!("nothing answers"),
                received = upstream.wait_for("/api/generate") => received,
            }
        };

        time_to_notice(&received).await
    })
    .await;
}

async fn begin_upload(gateway: &Gateway) -> TcpStream {
    let mut socket = TcpStream::connect(&gateway.address).await.expect("the gateway listens");
    let head = "POST /api/blobs/sha256:0a HTTP/1.1\r\nhost: x\r\nx-test-role: admin\r\n\
                transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n";
    socket.write_all(head.as_bytes()).await.expect("the gateway reads");
    socket
}

#[tokio::test]
async fn an_upload_reaches_the_upstream_while_it_still_comes() {
    let upstream = ScriptedUpstream::start().await;
    let gateway = Gateway::over(&upstream).await;

    let mut socket = begin_upload(&gateway).await;
    let received = upstream.wait_for("/api/blobs/sha256:0a").await;
    received.body_reaches(5).await;
    socket.write_all(b"6\r\n world\r\n0\r\n\r\n").await.expect("the gateway reads");
    let mut status = [0; 12];
    socket.read_exact(&mut status).await.expect("the gateway answers");

    assert_eq!(&status, b"HTTP/1.1 201");
    assert_eq!(received.body(), "hello world");
}

#[tokio::test]
async fn an_upload_that_breaks_off_breaks_off_at_the_upstream() {
    promptly(|| async {
        let upstream = ScriptedUpstream::start().await;
        let gateway = Gateway::over(&upstream).await;
        let socket = begin_upload(&gateway).await;
        let received = upstream.wait_for("/api/blobs/sha256:0a").await;
        received.body_reaches(5).await;

        drop(socket);

        time_to_notice(&received).await
    })
    .await;
}

#[tokio::test]
async fn a_request_that_stops_coming_is_given_up() {
    let upstream = ScriptedUpstream::start().await;
    let gateway = Gateway::over(&upstream).await;
    let mut socket = TcpStream::connect(&gateway.address).await.expect("the gateway listens");
    let head = "POST /api/generate HTTP/1.1\r\nhost: x\r\nx-test-role: admin\r\ncontent-length: 99\r\n\r\n{";
    socket.write_all(head.as_bytes()).await.expect("the gateway reads");

    let mut status = [0; 12];
    socket.read_exact(&mut status).await.expect("the gateway answers");

    assert_eq!(&status, b"HTTP/1.1 408");
}
