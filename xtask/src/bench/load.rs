//! The load generator: plain threads over kept connections, each asking as fast as it is answered.

use std::{
    net::SocketAddr,
    sync::Barrier,
    thread,
    time::{Duration, Instant},
};

use anyhow::{anyhow, bail};

use super::{
    histogram::Histogram,
    http::{Connection, Message},
    server,
};

/// Whom to ask, and what.
pub(super) struct Target {
    pub(super) address: SocketAddr,
    pub(super) request: Vec<u8>,
    /// The process that answers, if its processor time is wanted.
    pub(super) process: Option<u32>,
}

/// What one target answered in one turn.
pub(super) struct Outcome {
    latencies: Histogram,
    elapsed: Duration,
    /// Processor time the target's process spent meanwhile.
    cpu: Option<Duration>,
}

/// One turn of every target, in the order of the targets.
pub(super) type Round = Vec<Outcome>;

impl Outcome {
    pub(super) fn per_second(&self) -> f64 {
        self.latencies.count() as f64 / self.elapsed.as_secs_f64()
    }

    /// Processor time of the target for one request, or not a number if nobody asked for it. Unlike
    /// requests a second it hardly changes with what else the machine does.
    pub(super) fn cpu_us(&self) -> f64 {
        self.cpu.map_or(f64::NAN, |cpu| cpu.as_secs_f64() * 1e6 / self.latencies.count() as f64)
    }

    pub(super) fn quantile_us(&self, quantile: f64) -> f64 {
        self.latencies.quantile(quantile).as_secs_f64() * 1e6
    }
}

/// Asks every target for `span`, `turns` times. Every second turn goes backwards, so that a
/// machine that becomes slower or faster meanwhile favours nobody.
pub(super) fn in_turns(
    targets: &[Target],
    connections: usize,
    span: Duration,
    turns: u32,
) -> anyhow::Result<Vec<Round>> {
    let mut rounds = Vec::new();
    for turn in 0..turns {
        let mut order: Vec<usize> = (0..targets.len()).collect();
        if turn % 2 == 1 {
            order.reverse();
        }
        let mut outcomes = Vec::new();
        for target in order {
            outcomes.push((target, ask(&targets[target], connections, span)?));
        }
        outcomes.sort_by_key(|(target, _)| *target);
        rounds.push(outcomes.into_iter().map(|(_, outcome)| outcome).collect());
    }
    Ok(rounds)
}

fn ask(target: &Target, connections: usize, span: Duration) -> anyhow::Result<Outcome> {
    let ready = Barrier::new(connections);
    let cpu = |target: &Target| target.process.map(server::cpu_time).transpose();
    let before = cpu(target)?;
    let outcomes = thread::scope(|scope| {
        let workers: Vec<_> =
            (0..connections).map(|_| scope.spawn(|| worker(target, &ready, span))).collect();
        workers.into_iter().map(|worker| worker.join()).collect::<Vec<_>>()
    });
    let mut total = Outcome { latencies: Histogram::new(), elapsed: Duration::ZERO, cpu: None };
    for outcome in outcomes {
        let outcome = outcome.map_err(|_| anyhow!("a thread of the load generator panicked"))??;
        total.latencies.add(&outcome.latencies);
        total.elapsed = total.elapsed.max(outcome.elapsed);
    }
    total.cpu = cpu(target)?.zip(before).map(|(after, before)| after.saturating_sub(before));
    Ok(total)
}

fn worker(target: &Target, ready: &Barrier, span: Duration) -> anyhow::Result<Outcome> {
    let mut message = Message::new();
    // The first call opens what the target opens behind it, and is not counted.
    let opened = Connection::open(target.address).and_then(|mut connection| {
        call(&mut connection, target, &mut message)?;
        Ok(connection)
    });
    // Whoever failed comes to the barrier too: the others wait for it.
    ready.wait();
    let mut connection = opened?;
    let mut latencies = Histogram::new();
    let began = Instant::now();
    loop {
        let asked = Instant::now();
        call(&mut connection, target, &mut message)?;
        let answered = Instant::now();
        latencies.record(answered - asked);
        if answered - began >= span {
            return Ok(Outcome { latencies, elapsed: answered - began, cpu: None });
        }
    }
}

fn call(connection: &mut Connection, target: &Target, message: &mut Message) -> anyhow::Result<()> {
    let status = connection.call(&target.request, message)?;
    if status != 200 {
        let text = String::from_utf8_lossy(&message.body[..message.body.len().min(300)]);
        bail!("{} answered {status}: {text}", target.address);
    }
    Ok(())
}
