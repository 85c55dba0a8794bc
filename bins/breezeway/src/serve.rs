//! Running the gateway: listen, accept, drain.

mod first_bytes;
mod patient;

use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use breezeway::{
    Breezeway,
    parts::{
        auth::NewAccount,
        core::Role,
        middleware::{PeerAddress, Stack},
    },
};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{conn::auto::Builder, graceful::GracefulShutdown},
};
use tokio::{
    net::{TcpListener, TcpStream},
    signal::unix::{Signal, SignalKind, signal},
    sync::Semaphore,
    task::JoinSet,
    time::{sleep, timeout},
};
use tower::ServiceExt;
use tracing::{debug, info, warn};

use self::{first_bytes::FirstBytes, patient::Patient};
use crate::{banner, config::Settings, folder, telemetry};

/// The largest head of a request, in bytes.
const HEAD_BYTES: usize = 64 * 1024;
/// How long the background work has to end after the last connection.
const BACKGROUND_DRAIN: Duration = Duration::from_secs(10);
/// How long the process waits for threads that hang in the operating system, such as in a look-up of
/// a name, when all else has ended.
const LAST_WAIT: Duration = Duration::from_secs(1);

/// How long clients may keep a connection without doing anything with it.
#[derive(Clone, Copy, Debug)]
struct Waits {
    /// For the head of a request, on a fresh connection and between two requests of a kept one.
    head: Duration,
    /// For the next piece of a request's body.
    body: Duration,
}

impl Default for Waits {
    fn default() -> Self {
        Self { head: Duration::from_secs(75), body: Duration::from_secs(75) }
    }
}

/// Run until the process is told to stop.
pub(crate) fn run(settings: Settings) -> Result<()> {
    let _log = telemetry::install(&settings.log_level, settings.log_json)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("the runtime cannot be started")?;
    let outcome = runtime.block_on(serve(settings));
    runtime.shutdown_timeout(LAST_WAIT);
    outcome
}

async fn serve(settings: Settings) -> Result<()> {
    let begun = Instant::now();
    // Signals first: one that comes while the database opens must not be lost.
    let mut signals = Signals::listen()?;

    let address = SocketAddr::new(settings.host, settings.port);
    let listener =
        TcpListener::bind(address).await.with_context(|| format!("`{address}` cannot be listened on"))?;
    let address = listener.local_addr().context("the socket has no address")?;
    let _folder = folder::take(&settings.gateway.data_folder)?;
    let breezeway = Breezeway::builder(settings.gateway.clone()).build().await?;
    make_first_admin(&breezeway, &settings).await?;
    let background = breezeway.spawn();
    banner::print(&settings, &breezeway, address, begun.elapsed());

    let mut connections = Connections::new(breezeway.service(), settings.max_connections, Waits::default());
    tokio::select! {
        () = connections.accept(&listener) => {}
        by = signals.next() => {
            info!(signal = by, "Stopping: no new connections, {} s for those that are open", settings.drain.as_secs());
        }
    }
    drop(listener);
    connections.drain(settings.drain, &mut signals).await;
    background.shutdown(BACKGROUND_DRAIN).await;
    info!("Stopped");
    Ok(())
}

/// What tells the process to stop.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn listen() -> Result<Self> {
        let of = |kind| signal(kind).context("signals cannot be waited for");
        Ok(Self { terminate: of(SignalKind::terminate())?, interrupt: of(SignalKind::interrupt())? })
    }

    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}

async fn make_first_admin(breezeway: &Breezeway, settings: &Settings) -> Result<()> {
    let Some(admin) = &settings.first_admin else { return Ok(()) };
    let new = NewAccount {
        email: admin.email.clone(),
        name: admin.name.clone(),
        password: admin.password.clone(),
        role: Role::Admin,
        profile_image_url: None,
    };
    let made = breezeway.auth().ensure_admin(new).await.context("the first admin cannot be made")?;
    if made {
        info!("Made the first admin `{}`", admin.email);
    }
    Ok(())
}

struct Connections {
    service: Stack<Patient<Incoming>>,
    places: Arc<Semaphore>,
    waits: Waits,
    graceful: GracefulShutdown,
    open: JoinSet<()>,
}

impl Connections {
    fn new(service: Stack<Patient<Incoming>>, most: usize, waits: Waits) -> Self {
        let places = Arc::new(Semaphore::new(most.clamp(1, Semaphore::MAX_PERMITS)));
        Self { service, places, waits, graceful: GracefulShutdown::new(), open: JoinSet::new() }
    }

    /// Accept for ever. A connection beyond the cap waits in the kernel's queue until one has ended.
    async fn accept(&mut self, listener: &TcpListener) {
        let server = builder(self.waits);
        loop {
            let place = self.places.clone().acquire_owned().await.expect("the semaphore is never closed");
            let (stream, peer) = match listener.accept().await {
                Ok(accepted) => accepted,
                Err(error) => {
                    // Out of file descriptors, most likely: those in use have to end first.
                    warn!(error = %error, "A connection could not be accepted");
                    sleep(Duration::from_millis(100)).await;
                    continue;
                }
            };
            while self.open.try_join_next().is_some() {}
            let Ok(io) = prepare(stream, self.waits) else { continue };
            let (service, pause) = (self.service.clone(), self.waits.body);
            let handle = service_fn(move |request: hyper::Request<Incoming>| {
                let service = service.clone();
                let mut request = request.map(|body| Patient::new(body, pause));
                request.extensions_mut().insert(PeerAddress(peer.ip()));
                async move {
                    Ok::<_, Infallible>(service.oneshot(request).await.unwrap_or_else(|never| match never {}))
                }
            });
            let connection = server.serve_connection(io, handle).into_owned();
            let connection = self.graceful.watch(connection);
            self.open.spawn(async move {
                if let Err(error) = connection.await {
                    debug!(error = %error, "A connection ended early");
                }
                drop(place);
            });
        }
    }

    /// Let what has begun come to its end, until time is up or a second signal says that nobody waits.
    async fn drain(mut self, deadline: Duration, signals: &mut Signals) {
        tokio::select! {
            drained = timeout(deadline, self.graceful.shutdown()) => {
                if drained.is_err() {
                    warn!("Some connections did not end in time and are closed");
                }
            }
            by = signals.next() => warn!(signal = by, "Told again to stop: open connections are closed"),
        }
        self.open.shutdown().await;
    }
}

/// Small writes leave at once: a frame of a stream must not wait for the next.
fn prepare(stream: TcpStream, waits: Waits) -> std::io::Result<TokioIo<FirstBytes<TcpStream>>> {
    stream.set_nodelay(true)?;
    Ok(TokioIo::new(FirstBytes::new(stream, waits.head)))
}

fn builder(waits: Waits) -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(waits.head)
        .max_buf_size(HEAD_BYTES * 2)
        // A peer that has closed its writing side is gone: its upstream request must end too.
        .half_close(false)
        .keep_alive(true);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(Duration::from_secs(30))
        .keep_alive_timeout(Duration::from_secs(20))
        .max_header_list_size(HEAD_BYTES as u32)
        .max_concurrent_streams(256);
    builder
}

#[cfg(test)]
mod tests;
