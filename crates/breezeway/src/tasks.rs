//! The background work, on one tracker, so that shutdown can wait for it.

use std::time::Duration;

use breezeway_core::Classify;
use tokio::time::{MissedTickBehavior, interval, sleep};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::{Instrument, info, info_span, warn};

use crate::Breezeway;

/// Time between two writes of what is only kept roughly: when accounts and keys were last used.
const FLUSH_EVERY: Duration = Duration::from_secs(10);

/// Time between two looks at what is too old to be kept.
const TRIM_EVERY: Duration = Duration::from_secs(3600);

/// The running background work. Dropping it ends it without waiting.
#[must_use = "the background work ends when this is dropped"]
pub struct Background {
    tracker: TaskTracker,
    stop: CancellationToken,
    breezeway: Breezeway,
}

impl Background {
    pub(crate) fn start(breezeway: &Breezeway) -> Self {
        let background = Self {
            tracker: TaskTracker::new(),
            stop: CancellationToken::new(),
            breezeway: breezeway.clone(),
        };
        let parts = breezeway.clone();
        background.run("registry", async move { parts.registry().run().await });
        let parts = breezeway.clone();
        background.run("usage", async move { match parts.meter().run().await {} });
        let parts = breezeway.clone();
        background.run("drain", async move { parts.chat().run().await });
        let parts = breezeway.clone();
        background.run("tools", async move { parts.parts().tools.run().await });
        let parts = breezeway.clone();
        background.run("chats", async move { parts.saved().run().await });
        let parts = breezeway.clone();
        background.run("departures", async move { parts.parts().departures.run().await });
        if let Some(shelf) = breezeway.parts().shelf.clone() {
            background.run("shelf", async move { shelf.run().await });
        }
        let parts = breezeway.clone();
        background.run("ingest", async move { parts.parts().ingestor.run().await });
        let parts = breezeway.clone();
        background.run("retrieval", async move { parts.retriever().run().await });
        let parts = breezeway.clone();
        background.run("audit", async move { parts.audit().run().await });
        let parts = breezeway.clone();
        background.run("trim", async move { trim(&parts).await });
        let parts = breezeway.clone();
        background.run("reseal", async move { reseal(&parts).await });
        let parts = breezeway.clone();
        background.run("flush", async move { flush(&parts).await });
        let parts = breezeway.clone();
        background.run("embedding", async move { bring_local_model(&parts).await });
        background
    }

    fn run(&self, name: &'static str, work: impl Future<Output = ()> + Send + 'static) {
        let stop = self.stop.clone();
        let work = async move {
            tokio::select! {
                () = work => {}
                () = stop.cancelled() => {}
            }
        };
        self.tracker.spawn(work.instrument(info_span!("background", task = name)));
    }

    /// End the background work and write what is left to write, within `deadline`. What a worker had
    /// begun is taken up again by the next start.
    pub async fn shutdown(self, deadline: Duration) {
        self.stop.cancel();
        self.tracker.close();
        let ended = async {
            self.tracker.wait().await;
            if let Err(error) = self.breezeway.auth().flush().await {
                warn!(error = %error, kind = ?error.kind(), "The times of last use were not written");
            }
            if let Err(error) = self.breezeway.saved().flush().await {
                warn!(error = %error, "The last answers were not written into their chats");
            }
            if let Err(error) = self.breezeway.audit().flush().await {
                warn!(error = %error, "The last entries of the audit log were not written");
            }
            if let Err(error) = self.breezeway.meter().flush().await {
                warn!(error = %error, "What was used at the end was not written");
            }
        };
        if tokio::time::timeout(deadline, ended).await.is_err() {
            warn!("The background work did not end in time");
        }
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

async fn flush(breezeway: &Breezeway) {
    let mut tick = interval(FLUSH_EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        if let Err(error) = breezeway.auth().flush().await {
            warn!(error = %error, "The times of last use were not written");
        }
    }
}

/// Delete what is older than it is to be kept, at the start and every hour.
async fn trim(breezeway: &Breezeway) {
    let config = breezeway.config();
    let mut tick = interval(TRIM_EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        if let Some(days) = config.audit_days {
            let age = Duration::from_secs(u64::from(days) * 86_400);
            if let Err(error) = breezeway.audit().trim(age).await {
                warn!(error = %error, "Old entries of the audit log were not deleted");
            }
        }
        if let Some(days) = config.usage_days
            && let Err(error) = breezeway.meter().trim(days).await
        {
            warn!(error = %error, "Old rows of the ledger of usage were not deleted");
        }
    }
}

/// Seal API keys anew after a change of the server's secret.
async fn reseal(breezeway: &Breezeway) {
    match breezeway.auth().reseal_api_keys().await {
        Ok(0) => {}
        Ok(keys) => info!(keys, "Sealed {keys} API keys under the current secret"),
        Err(error) => warn!(error = %error, "API keys could not be sealed under the current secret"),
    }
}

/// Fetch the local embedding model if it is not there, and hand it to those who use it. A machine
/// that cannot reach any source today may tomorrow, so this goes on trying, ever more seldom.
async fn bring_local_model(breezeway: &Breezeway) {
    let embedder = &breezeway.parts().embedder;
    let mut pause = Duration::from_secs(60);
    // An admin may go over to another model meanwhile; then there is nothing left to bring.
    while let Some(local) = embedder.local() {
        match local.bring().await {
            Ok(model) => match embedder.arrive(model).await {
                Ok(()) => return,
                Err(error) => warn!(error = %error, "The embedding model could not be handed to the search"),
            },
            Err(error) => {
                let note = format!("There is no embedding model, so search goes by words alone: {error}.");
                warn!("{note}");
                embedder.is_missing(note);
            }
        }
        if local.is_offline() {
            return;
        }
        sleep(pause).await;
        pause = (pause * 2).min(Duration::from_secs(3600));
    }
}
