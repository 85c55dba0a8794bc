//! The scripted upstream: an HTTP server on its own thread.
//!
//! It has a thread and a runtime of its own, so that it notices a client that leaves even while the
//! test's runtime is busy or its clock is paused.

use std::{
    collections::{HashMap, VecDeque},
    fmt,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread::JoinHandle,
};

use http::{Method, Request, Response};
use http_body_util::BodyExt;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{oneshot, watch},
    task::JoinSet,
};

use crate::{
    Received, Reply, defaults,
    received::Guard,
    reply::{Cut, ScriptBody},
};

/// An upstream that answers from a script and keeps what it was asked.
///
/// A path with nothing queued gets a plausible answer in OpenAI's dialect (under `/v1`) or Ollama's.
pub struct ScriptedUpstream {
    address: SocketAddr,
    shared: Arc<Shared>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

type Condition = Box<dyn Fn(&Value) -> bool + Send>;

struct Shared {
    state: Mutex<State>,
    count: watch::Sender<usize>,
    connections: watch::Sender<usize>,
}

#[derive(Default)]
struct State {
    queues: HashMap<String, VecDeque<(Option<Condition>, Reply)>>,
    standing: HashMap<String, Reply>,
    received: Vec<Arc<Received>>,
    models: Vec<String>,
    key: Option<String>,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ScriptedUpstream {
    /// Start one that serves `llama3.2:latest`.
    pub async fn start() -> Self {
        Self::with_models(["llama3.2:latest"]).await
    }

    /// Start one that serves these models.
    pub async fn with_models<M: Into<String>>(models: impl IntoIterator<Item = M>) -> Self {
        let shared = Arc::new(Shared {
            state: Mutex::new(State {
                models: models.into_iter().map(Into::into).collect(),
                ..State::default()
            }),
            count: watch::Sender::new(0),
            connections: watch::Sender::new(0),
        });
        let (tell_address, address) = oneshot::channel();
        let (stop, stopped) = oneshot::channel();
        let served = shared.clone();
        let thread = std::thread::Builder::new()
            .name("scripted-upstream".to_owned())
            .spawn(move || serve(&served, tell_address, stopped))
            .expect("a thread can be started");
        let address = address.await.expect("the upstream tells its address");
        Self { address, shared, stop: Some(stop), thread: Some(thread) }
    }

    /// Its root, such as `http://127.0.0.1:40123`: the base URL of an Ollama connection.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The base URL of an OpenAI connection: the root and `/v1`.
    pub fn openai_url(&self) -> String {
        format!("{}/v1", self.url())
    }

    /// Queue a reply for the next request of `path`.
    pub fn queue(&self, path: &str, reply: Reply) {
        self.shared.state().queues.entry(path.to_owned()).or_default().push_back((None, reply));
    }

    /// Answer every request of `path` for which nothing is queued with this from now on.
    pub fn always(&self, path: &str, reply: Reply) {
        self.shared.state().standing.insert(path.to_owned(), reply);
    }

    /// Queue a reply for the next request of `path` whose JSON body fits.
    pub fn queue_when(&self, path: &str, fits: impl Fn(&Value) -> bool + Send + 'static, reply: Reply) {
        let entry = (Some(Box::new(fits) as Condition), reply);
        self.shared.state().queues.entry(path.to_owned()).or_default().push_back(entry);
    }

    /// Serve these models from now on.
    pub fn set_models<M: Into<String>>(&self, models: impl IntoIterator<Item = M>) {
        self.shared.state().models = models.into_iter().map(Into::into).collect();
    }

    /// Refuse requests without this bearer token.
    pub fn demand_key(&self, key: &str) {
        self.shared.state().key = Some(key.to_owned());
    }

    /// All requests so far, in the order their heads arrived.
    pub fn received(&self) -> Vec<Arc<Received>> {
        self.shared.state().received.clone()
    }

    /// The requests of one path.
    pub fn received_at(&self, path: &str) -> Vec<Arc<Received>> {
        let state = self.shared.state();
        state.received.iter().filter(|received| received.path == path).cloned().collect()
    }

    /// The last request of a path.
    ///
    /// # Panics
    /// If there was none.
    pub fn last_at(&self, path: &str) -> Arc<Received> {
        self.received_at(path).pop().unwrap_or_else(|| panic!("nothing was asked at `{path}`"))
    }

    /// Wait until a request of `path` has arrived and answer the last one.
    pub async fn wait_for(&self, path: &str) -> Arc<Received> {
        let mut count = self.shared.count.subscribe();
        loop {
            if let Some(received) = self.received_at(path).pop() {
                return received;
            }
            count.changed().await.expect("the upstream runs as long as it is asked");
        }
    }

    /// How many connections have been accepted.
    pub fn connections(&self) -> usize {
        *self.shared.connections.borrow()
    }

    /// Forget all requests and queued replies.
    pub fn reset(&self) {
        let mut state = self.shared.state();
        state.received.clear();
        state.queues.clear();
    }
}

impl fmt::Debug for ScriptedUpstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScriptedUpstream").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Drop for ScriptedUpstream {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // It ends at once; a panic in it has already failed the exchange it happened in.
            let _ = thread.join();
        }
    }
}

fn serve(shared: &Arc<Shared>, tell_address: oneshot::Sender<SocketAddr>, stopped: oneshot::Receiver<()>) {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime can be made");
    runtime.block_on(async {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port is free");
        let address = listener.local_addr().expect("a bound socket has an address");
        if tell_address.send(address).is_ok() {
            tokio::select! {
                () = accept(listener, shared) => {}
                _ = stopped => {}
            }
        }
    });
}

async fn accept(listener: TcpListener, shared: &Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        let Ok((socket, _)) = listener.accept().await else { return };
        shared.connections.send_modify(|count| *count += 1);
        connections.spawn(connection(socket, shared.clone()));
        while connections.try_join_next().is_some() {}
    }
}

async fn connection(socket: TcpStream, shared: Arc<Shared>) {
    // Pieces leave one by one, whatever the kernel would rather join.
    let _ = socket.set_nodelay(true);
    let service = service_fn(move |request| exchange(request, shared.clone()));
    // What goes wrong on a connection is what the script or the client wanted.
    let _ = http1::Builder::new().serve_connection(TokioIo::new(socket), service).await;
}

async fn exchange(request: Request<Incoming>, shared: Arc<Shared>) -> Result<Response<ScriptBody>, Cut> {
    let (head, mut body) = request.into_parts();
    let received = Arc::new(Received::new(head));
    let guard = Guard(received.clone());
    shared.state().received.push(received.clone());
    shared.count.send_modify(|count| *count += 1);
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else { return Err(Cut) };
        if let Some(data) = frame.data_ref() {
            received.push(data);
        }
    }
    let reply = shared.reply_to(&received);
    reply.answer(guard, received.method == Method::HEAD).await
}

impl Shared {
    fn reply_to(&self, received: &Received) -> Reply {
        let body = received.json();
        let mut state = self.state();
        if let Some(queue) = state.queues.get_mut(&received.path) {
            let fitting = queue.iter().position(|(fits, _)| fits.as_ref().is_none_or(|fits| fits(&body)));
            if let Some((_, reply)) = fitting.and_then(|position| queue.remove(position)) {
                return reply;
            }
        }
        if let Some(reply) = state.standing.get(&received.path) {
            return reply.clone();
        }
        let authorized = state
            .key
            .as_ref()
            .is_none_or(|key| received.header("authorization") == Some(&format!("Bearer {key}")));
        if !authorized {
            return defaults::unauthorized();
        }
        defaults::reply(&received.path, &body, &state.models)
    }
}
