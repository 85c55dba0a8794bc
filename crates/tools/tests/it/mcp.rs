use breezeway_testkit::Reply;

use super::*;

const PATH: &str = "/mcp";

/// An answer to request `id`.
fn result(id: u64, result: Value) -> Reply {
    Reply::json(200, &json!({"jsonrpc": "2.0", "id": id, "result": result}))
}

fn begun(id: u64) -> Reply {
    let info = json!({"name": "notes", "title": "Notes", "version": "1"});
    let said = json!({"protocolVersion": "2025-03-26", "capabilities": {}, "serverInfo": info});
    result(id, said).header("mcp-session-id", &format!("session-{id}"))
}

fn accepted() -> Reply {
    Reply::bytes(202, "", "")
}

fn methods(upstream: &ScriptedUpstream) -> Vec<String> {
    let shown = |received: &breezeway_testkit::Received| match received.json()["method"].as_str() {
        Some(method) => method.to_owned(),
        None => received.method.to_string(),
    };
    upstream.received_at(PATH).iter().map(|received| shown(received)).collect()
}

/// A server that offers `look` and answers every question of a session in order.
async fn notes() -> (ScriptedUpstream, ToolServers) {
    let upstream = ScriptedUpstream::start().await;
    let page = json!({"tools": [{"name": "look", "description": "Look.", "inputSchema":
        {"type": "object", "properties": {"at": {"type": "string"}}}}], "nextCursor": "2"});
    let last = json!({"tools": [{"name": "write"}, {"nonsense": 1}, "x"]});
    for reply in [begun(1), accepted(), result(2, page), result(3, last)] {
        upstream.queue(PATH, reply);
    }
    let servers = servers(vec![server(ToolServerKind::Mcp, format!("{}{PATH}", upstream.url()))]);
    (upstream, servers)
}

#[tokio::test]
async fn tools_are_listed_and_called_in_a_session_of_the_request() {
    let (upstream, servers) = notes().await;

    let tools = tools(&servers, "server:mcp:0").await;
    for reply in [
        begun(1),
        accepted(),
        result(2, json!({"content": [{"type": "text", "text": "a"}, {"type": "image"}]})),
    ] {
        upstream.queue(PATH, reply);
    }
    let answer = call(&tools, "look", json!({"at": "sky"})).await.unwrap();

    assert_eq!(names(&tools), ["look", "write"]);
    assert_eq!(servers.all()[0].name(), "Notes");
    assert_eq!(answer, "a\n(image, which is not shown)");
    let one = ["initialize", "notifications/initialized"];
    assert_eq!(methods(&upstream), [&one[..], &["tools/list", "tools/list"], &one, &["tools/call"]].concat());
    let last = upstream.last_at(PATH);
    assert_eq!(last.header("mcp-session-id"), Some("session-1"));
    assert_eq!(last.header("mcp-protocol-version"), Some("2025-03-26"));
    assert_eq!(last.header("authorization"), Some("Bearer sk-very-secret"));
    assert_eq!(last.json()["params"], json!({"name": "look", "arguments": {"at": "sky"}}));
}

#[tokio::test]
async fn a_session_is_ended_when_its_request_is_over() {
    let (upstream, servers) = notes().await;
    let tools = tools(&servers, "server:0").await;
    upstream.queue(PATH, begun(1));
    upstream.queue(PATH, accepted());
    upstream.queue(PATH, result(2, json!({"content": []})));
    call(&tools, "look", json!({})).await.unwrap();

    drop(tools);

    let ended = async {
        loop {
            let ends = methods(&upstream).iter().filter(|method| *method == "DELETE").count();
            // The one that listed, and the one that called.
            if ends == 2 {
                return;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        () = servers.run() => unreachable!("it works for ever"),
        () = ended => {}
    }
}

#[tokio::test]
async fn an_answer_may_be_an_event_among_others() {
    let (upstream, servers) = notes().await;
    let tools = tools(&servers, "server:0").await;
    upstream.queue(PATH, begun(1));
    upstream.queue(PATH, accepted());
    let events = [
        json!({"jsonrpc": "2.0", "method": "notifications/progress", "params": {}}),
        json!({"jsonrpc": "2.0", "id": 2, "method": "ping"}),
        json!({"jsonrpc": "2.0", "id": 7, "result": {"content": [{"type": "text", "text": "not this"}]}}),
        json!({"jsonrpc": "2.0", "id": 2, "result": {"structuredContent": {"degrees": 12}}}),
    ];
    let events: Vec<_> = events.iter().map(|event| format!("event: message\ndata: {event}\n\n")).collect();
    upstream.queue(PATH, Reply::sse(events).then_stall());

    let answer = call(&tools, "look", json!({})).await;

    assert_eq!(answer.unwrap(), r#"{"degrees":12}"#);
}

#[tokio::test]
async fn a_forgotten_session_is_begun_anew_once() {
    let (upstream, servers) = notes().await;
    let tools = tools(&servers, "server:0").await;
    for reply in [
        begun(1),
        accepted(),
        Reply::bytes(404, "text/plain", "no such session"),
        begun(3),
        accepted(),
        result(4, json!({"content": [{"type": "text", "text": "back"}]})),
    ] {
        upstream.queue(PATH, reply);
    }

    assert_eq!(call(&tools, "look", json!({})).await.unwrap(), "back");
    assert_eq!(upstream.last_at(PATH).header("mcp-session-id"), Some("session-3"));
}

#[tokio::test]
async fn what_goes_wrong_is_a_failure_with_a_reason() {
    let (upstream, servers) = notes().await;
    let tools = tools(&servers, "server:0").await;
    upstream.queue(PATH, begun(1));
    upstream.queue(PATH, accepted());
    let error = json!({"jsonrpc": "2.0", "id": 3, "error": {"code": -32602, "message": "unknown `at`"}});
    let endless = Reply::pieces("text/event-stream", vec![vec![b'x'; 1 << 20]; 16]).then_stall();
    let comments = Reply::pieces("text/event-stream", vec![": x\n\n".repeat(100_000); 64]).then_stall();
    for (reply, expected) in [
        (
            result(2, json!({"isError": true, "content": [{"type": "text", "text": format!("no {KEY}")}]})),
            "no [secret]",
        ),
        (Reply::json(200, &error), "unknown `at`"),
        (result(99, json!({})), "its server gave no proper answer"),
        (Reply::bytes(200, "text/html", "<html>"), "its server gave no proper answer"),
        (endless, "its server gave no proper answer"),
        (comments, "its server gave no proper answer"),
        (Reply::sse(["data: {}\n\n"]), "its server broke off"),
        (
            Reply::bytes(302, "", "").header("location", "http://127.0.0.1:1/"),
            "its server gave no proper answer",
        ),
    ] {
        upstream.queue(PATH, reply);
        let failure = call(&tools, "look", json!({})).await.unwrap_err();
        assert_eq!(failure.0, expected);
    }
}

#[tokio::test]
async fn a_list_without_end_is_cut() {
    let upstream = ScriptedUpstream::start().await;
    upstream.queue(PATH, begun(1));
    upstream.queue(PATH, accepted());
    for page in 0..100 {
        let tools: Vec<_> = (0..30).map(|number| json!({"name": format!("t{page}-{number}")})).collect();
        upstream.queue(PATH, result(page + 2, json!({"tools": tools, "nextCursor": "more"})));
    }
    let servers = servers(vec![server(ToolServerKind::Mcp, format!("{}{PATH}", upstream.url()))]);

    assert_eq!(tools(&servers, "server:0").await.len(), 256);
}
