//! The scripted upstream: OpenAI's two routes, answered at once and always alike.

use std::{
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use serde_json::json;

use super::http::{Connection, Message};

/// A server of its own threads; it stops accepting when dropped.
pub(super) struct ScriptedUpstream {
    address: SocketAddr,
    stop: Arc<AtomicBool>,
}

/// The name of a model in its list.
pub(super) fn model_name(index: usize) -> String {
    format!("scripted-{index:03}")
}

/// The two answers, ready to send.
struct Answers {
    chat: Vec<u8>,
    models: Vec<u8>,
    unknown: Vec<u8>,
}

impl ScriptedUpstream {
    /// Listens on a free port and lists `models` models.
    pub(super) fn start(models: usize) -> anyhow::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        let address = listener.local_addr()?;
        let stop = Arc::new(AtomicBool::new(false));
        let answers = Arc::new(Answers::new(models));
        let stopped = Arc::clone(&stop);
        thread::spawn(move || {
            for stream in listener.incoming() {
                if stopped.load(Ordering::Relaxed) {
                    break;
                }
                let answers = Arc::clone(&answers);
                // A connection ends with its peer; how it ended is nobody's business here.
                thread::spawn(move || stream.map(|stream| serve(stream, &answers)));
            }
        });
        Ok(Self { address, stop })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for ScriptedUpstream {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        // Wakes the thread that waits for the next connection.
        let _ = TcpStream::connect(self.address);
    }
}

fn serve(stream: TcpStream, answers: &Answers) -> anyhow::Result<()> {
    let mut connection = Connection::over(stream)?;
    let mut request = Message::new();
    while connection.receive(&mut request)? {
        let line = &request.first_line;
        let answer = if line.starts_with("POST ") && line.contains("/chat/completions ") {
            &answers.chat
        } else if line.starts_with("GET ") && line.contains("/models ") {
            &answers.models
        } else {
            &answers.unknown
        };
        connection.send(answer)?;
    }
    Ok(())
}

impl Answers {
    fn new(models: usize) -> Self {
        let entry =
            |index| json!({ "id": model_name(index), "object": "model", "created": 1, "owned_by": "bench" });
        let chat = json!({
            "id": "chatcmpl-bench",
            "object": "chat.completion",
            "created": 1,
            "model": model_name(0),
            "choices": [{
                "index": 0,
                "finish_reason": "stop",
                "message": { "role": "assistant", "content": "About four metres, a little more at the quay." },
            }],
            "usage": { "prompt_tokens": 17, "completion_tokens": 11, "total_tokens": 28 },
        });
        let list = json!({ "object": "list", "data": (0..models).map(entry).collect::<Vec<_>>() });
        let unknown = json!({ "error": { "message": "no such route" } });
        Self {
            chat: answer("200 OK", &chat.to_string()),
            models: answer("200 OK", &list.to_string()),
            unknown: answer("404 Not Found", &unknown.to_string()),
        }
    }
}

fn answer(status: &str, body: &str) -> Vec<u8> {
    format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}
