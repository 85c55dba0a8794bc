//! Running the gateway: listen, accept, drain.

use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use breezeway::{
    Breezeway,
    parts::{auth::NewAccount, core::Role, middleware::Stack},
};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{
        conn::auto::Builder,
        graceful::GracefulShutdown,
    },
};
use tokio::{
    net::{TcpListener, TcpStream},
    signal::unix::{SignalKind, signal},
    sync::Semaphore,
    time::{sleep, timeout},
};
use tower::ServiceExt;
use tracing::{debug, info, warn};

use crate::{banner, config::Settings, telemetry};

/// How long a client may take to send the head of a request, on a fresh connection and between two
/// requests of a kept one.
const HEAD_TIMEOUT: Duration = Duration::from_secs(75);
/// The largest head of a request, in bytes.
const HEAD_BYTES: usize = 64 * 1024;
/// How long the background work has to end after the last connection.
const BACKGROUND_DRAIN: Duration = Duration::from_secs(10);

/// Run until the process is told to stop.
pub(crate) fn run(settings: Settings) -> Result<()> {
    telemetry::install(&settings.log_level, settings.log_json);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("the runtime cannot be started")?;
    runtime.block_on(serve(settings))
}

async fn serve(settings: Settings) -> Result<()> {
    let begun = Instant::now();
    // Signals first: one that comes while the database opens must not be lost.
    let mut terminate = signal(SignalKind::terminate()).context("signals cannot be waited for")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("signals cannot be waited for")?;

    let address = SocketAddr::new(settings.host, settings.port);
    let listener =
        TcpListener::bind(address).await.with_context(|| format!("`{address}` cannot be listened on"))?;
    let address = listener.local_addr().context("the socket has no address")?;
    let breezeway = Breezeway::builder(settings.gateway.clone()).build().await?;
    make_first_admin(&breezeway, &settings).await?;
    let background = breezeway.spawn();
    banner::print(&settings, &breezeway, address, begun.elapsed());

    let connections = Connections {
        service: breezeway.service(),
        places: Arc::new(Semaphore::new(settings.max_connections)),
        graceful: GracefulShutdown::new(),
    };
    let stopped = async {
        tokio::select! {
            _ = terminate.recv() => "SIGTERM",
            _ = interrupt.recv() => "SIGINT",
        }
    };
    tokio::select! {
        () = connections.accept(&listener) => {}
        by = stopped => info!(signal = by, "Stopping: no new connections, {} s for those that are open", settings.drain.as_secs()),
    }
    drop(listener);
    if timeout(settings.drain, connections.graceful.shutdown()).await.is_err() {
        warn!("Some connections did not end in time and were closed");
    }
    background.shutdown(BACKGROUND_DRAIN).await;
    info!("Stopped");
    Ok(())
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
    service: Stack<Incoming>,
    places: Arc<Semaphore>,
    graceful: GracefulShutdown,
}

impl Connections {
    /// Accept for ever. A connection beyond the cap waits in the kernel's queue until one has ended.
    #[expect(clippy::disallowed_methods, reason = "a connection lives as long as its client; draining waits for it")]
    async fn accept(&self, listener: &TcpListener) {
        let server = builder();
        loop {
            let place = self.places.clone().acquire_owned().await.expect("the semaphore is never closed");
            let stream = match listener.accept().await {
                Ok((stream, _)) => stream,
                Err(error) => {
                    // Out of file descriptors, most likely: those in use have to end first.
                    warn!(error = %error, "A connection could not be accepted");
                    sleep(Duration::from_millis(100)).await;
                    continue;
                }
            };
            let Ok(io) = prepare(stream) else { continue };
            let service = self.service.clone();
            let handle = service_fn(move |request| {
                let service = service.clone();
                async move { Ok::<_, Infallible>(service.oneshot(request).await.unwrap_or_else(|never| match never {})) }
            });
            let connection = server.serve_connection(io, handle).into_owned();
            let connection = self.graceful.watch(connection);
            tokio::spawn(async move {
                if let Err(error) = connection.await {
                    debug!(error = %error, "A connection ended early");
                }
                drop(place);
            });
        }
    }
}

/// Small writes leave at once: a frame of a stream must not wait for the next.
fn prepare(stream: TcpStream) -> std::io::Result<TokioIo<TcpStream>> {
    stream.set_nodelay(true)?;
    Ok(TokioIo::new(stream))
}

fn builder() -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
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
