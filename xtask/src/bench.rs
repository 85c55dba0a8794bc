//! What the gateway costs, measured on loopback against an upstream that answers at once.
//!
//! Absolute figures of a shared machine say little, so every figure that can be is a ratio: the
//! same load goes to a bare hyper proxy and to Breezeway in turns (A B, B A, A B …), which cancels
//! what the machine does meanwhile, and the median of the turns is reported.

mod histogram;
mod http;
mod load;
mod server;
mod upstream;

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use anyhow::{Context as _, ensure};
use clap::ValueEnum;
use serde_json::{Value, json};
use xshell::{Shell, cmd};

use self::{
    load::{Round, Target},
    server::{BareProxy, Breezeway},
    upstream::ScriptedUpstream,
};
use crate::workspace;

/// Connections of the load measurement: more than cores, as a gateway has them.
const CONNECTIONS: usize = 64;

/// Models in the upstream's list.
const MODELS: usize = 500;

/// Turns each measurement is cut into.
const TURNS: u32 = 5;

/// Measure what the gateway costs.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// What to measure; without a word both.
    what: Option<What>,
    /// How long each target is measured in each measurement.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=120))]
    seconds: u64,
    /// Keep the results as `target/bench/NAME.json`.
    #[arg(long, value_name = "NAME", value_parser = file_name)]
    save: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum What {
    /// One connection: start, memory, added latency, the list of models.
    Micro,
    /// Sixty-four connections: requests a second.
    Load,
}

fn file_name(given: &str) -> Result<String, String> {
    let plain = given.chars().all(|sign| sign.is_ascii_alphanumeric() || "-_.".contains(sign));
    if plain && !given.is_empty() && !given.starts_with('.') {
        Ok(given.to_owned())
    } else {
        Err("a name has letters, digits, `-`, `_` and `.`".to_owned())
    }
}

impl Args {
    pub(crate) fn run(&self, sh: &Shell) -> anyhow::Result<()> {
        let target = workspace::metadata()?.target_directory.into_std_path_buf();
        if cfg!(debug_assertions) {
            return self.run_optimised(sh, &target);
        }
        let results = self.measure(sh, &target.join("release"))?;
        println!("{}", report(&results));
        if let Some(name) = &self.save {
            let path = target.join("bench").join(format!("{name}.json"));
            sh.write_file(&path, serde_json::to_string_pretty(&results)? + "\n")?;
            println!("wrote `{}`", path.display());
        }
        Ok(())
    }

    /// Builds everything as it is shipped, this program too (an unoptimised load generator would
    /// measure itself), and lets the optimised one go on.
    fn run_optimised(&self, sh: &Shell, target: &Path) -> anyhow::Result<()> {
        let builds: [&[&str]; 4] = [
            &["--package", "breezeway-server"],
            &["--package", "breezeway-middleware", "--example", "admission"],
            &["--package", "breezeway-upstream", "--example", "bare_proxy"],
            &["--package", "xtask"],
        ];
        for selection in builds {
            workspace::outside_of_xtask(cmd!(sh, "cargo build --release {selection...}")).run()?;
        }
        let program = target.join("release/xtask");
        let what = self.what.and_then(|what| what.to_possible_value());
        let what = what.iter().map(|value| value.get_name());
        let seconds = self.seconds.to_string();
        let save = self.save.iter().flat_map(|name| ["--save", name]);
        cmd!(sh, "{program} bench {what...} --seconds {seconds} {save...}").quiet().run()?;
        Ok(())
    }

    fn measure(&self, sh: &Shell, built: &Path) -> anyhow::Result<Value> {
        let upstream = ScriptedUpstream::start(MODELS)?;
        let bare = BareProxy::start(&program(built, "examples/bare_proxy")?, upstream.address())?;
        let folder = sh.create_temp_dir()?;
        let breezeway = Breezeway::start(&program(built, "breezeway")?, folder.path(), upstream.address())?;
        let key = breezeway.sign_in()?;
        breezeway.wait_for_models(&key, MODELS)?;

        let chat = Chat {
            upstream: upstream.address(),
            bare: bare.address(),
            breezeway: breezeway.address(),
            key,
            processes: [bare.process(), breezeway.process()],
        };
        let mut results = json!({ "seconds": self.seconds, "cores": thread::available_parallelism()?.get() });
        if self.what != Some(What::Load) {
            results["micro"] = self.micro(&chat, &breezeway)?;
            results["admission"] = admission(sh, built)?;
        }
        if self.what != Some(What::Micro) {
            results["load"] = self.load(&chat, &breezeway)?;
        }
        Ok(results)
    }

    fn micro(&self, chat: &Chat, breezeway: &Breezeway) -> anyhow::Result<Value> {
        let rss = breezeway.rss_kib()?;
        let rounds = load::in_turns(&chat.targets(), 1, self.turn(), TURNS)?;
        let added = rounds.iter().map(|round| micros(round, BREEZEWAY) - micros(round, BARE));
        let models = load::in_turns(&[chat.models()], 1, self.turn() / 2, 2)?;
        Ok(json!({
            "start_to_healthy_ms": breezeway.time_to_healthy().as_millis(),
            "idle_rss_kib": rss,
            "chat_p50_us": {
                "upstream": median(rounds.iter().map(|round| micros(round, UPSTREAM))),
                "bare_proxy": median(rounds.iter().map(|round| micros(round, BARE))),
                "breezeway": median(rounds.iter().map(|round| micros(round, BREEZEWAY))),
            },
            "chat_p50_added_us": median(added),
            "models": MODELS,
            "models_p50_us": median(models.iter().map(|round| micros(round, 0))),
        }))
    }

    fn load(&self, chat: &Chat, breezeway: &Breezeway) -> anyhow::Result<Value> {
        let rounds = load::in_turns(&chat.targets(), CONNECTIONS, self.turn(), TURNS)?;
        let ratio = |round: &Round| round[BREEZEWAY].per_second() / round[BARE].per_second();
        let cpu = |target: usize| median(rounds.iter().map(|round| round[target].cpu_us()));
        let p99 = |target: usize| median(rounds.iter().map(|round| round[target].quantile_us(0.99)));
        Ok(json!({
            "connections": CONNECTIONS,
            "requests_per_second": {
                "upstream": median(rounds.iter().map(|round| round[UPSTREAM].per_second())),
                "bare_proxy": median(rounds.iter().map(|round| round[BARE].per_second())),
                "breezeway": median(rounds.iter().map(|round| round[BREEZEWAY].per_second())),
            },
            "ratio": median(rounds.iter().map(ratio)),
            "ratio_of_each_turn": rounds.iter().map(|round| rounded(ratio(round))).collect::<Vec<_>>(),
            "cpu_us_per_request": { "bare_proxy": cpu(BARE), "breezeway": cpu(BREEZEWAY) },
            "p99_us": { "bare_proxy": p99(BARE), "breezeway": p99(BREEZEWAY) },
            "rss_after_kib": breezeway.rss_kib()?,
        }))
    }

    fn turn(&self) -> Duration {
        Duration::from_secs(self.seconds) / TURNS
    }
}

/// What the layers before a call cost, in a process of its own with a hundred thousand accounts.
fn admission(sh: &Shell, built: &Path) -> anyhow::Result<Value> {
    let program = program(built, "examples/admission")?;
    let printed = cmd!(sh, "{program}").quiet().read()?;
    serde_json::from_str(&printed).with_context(|| format!("`admission` printed `{printed}`"))
}

fn program(built: &Path, name: &str) -> anyhow::Result<PathBuf> {
    let path = built.join(name);
    ensure!(path.exists(), "`{}` is not built; `cargo xtask bench` builds it", path.display());
    Ok(path)
}

/// The order of the targets in a round.
const UPSTREAM: usize = 0;
const BARE: usize = 1;
const BREEZEWAY: usize = 2;

/// One chat request, asked of the upstream itself and through each proxy.
struct Chat {
    upstream: SocketAddr,
    bare: SocketAddr,
    breezeway: SocketAddr,
    key: String,
    /// Of the two proxies.
    processes: [u32; 2],
}

impl Chat {
    /// The upstream comes first: when it is hardly faster than the bare proxy, the generator is
    /// the limit and the ratio says nothing.
    fn targets(&self) -> [Target; 3] {
        let body = json!({
            "model": upstream::model_name(0),
            "messages": [{ "role": "user", "content": "What is the harbour's depth at low water?" }],
            "stream": false,
        })
        .to_string();
        let post = |address, path, key, process| Target {
            address,
            request: http::request("POST", path, address, key, body.as_bytes()),
            process,
        };
        let [bare, breezeway] = self.processes.map(Some);
        [
            post(self.upstream, "/v1/chat/completions", None, None),
            post(self.bare, "/v1/chat/completions", None, bare),
            post(self.breezeway, "/api/chat/completions", Some(self.key.as_str()), breezeway),
        ]
    }

    fn models(&self) -> Target {
        let request = http::request("GET", "/api/models", self.breezeway, Some(&self.key), b"");
        Target { address: self.breezeway, request, process: None }
    }
}

fn micros(round: &Round, target: usize) -> f64 {
    round[target].quantile_us(0.5)
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    let median = match values.len() {
        0 => f64::NAN,
        odd if odd % 2 == 1 => values[middle],
        _ => f64::midpoint(values[middle - 1], values[middle]),
    };
    rounded(median)
}

/// Three digits after the point, which is more than any of these figures is worth.
fn rounded(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}

/// The results as lines.
fn report(results: &Value) -> String {
    let mut lines = Vec::new();
    flatten("", results, &mut lines);
    lines.join("\n")
}

fn flatten(prefix: &str, value: &Value, lines: &mut Vec<String>) {
    match value.as_object() {
        Some(object) => {
            for (name, value) in object {
                let name = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
                flatten(&name, value, lines);
            }
        }
        None => lines.push(format!("{prefix:<36} {value}")),
    }
}

/// Tries again until `attempt` gives something or the time is up.
fn eventually<T>(
    what: &str,
    limit: Duration,
    pause: Duration,
    mut attempt: impl FnMut() -> anyhow::Result<Option<T>>,
) -> anyhow::Result<T> {
    let began = std::time::Instant::now();
    loop {
        let outcome = attempt();
        if let Ok(Some(found)) = outcome {
            return Ok(found);
        }
        if began.elapsed() > limit {
            outcome.with_context(|| format!("{what} did not happen within {limit:?}"))?;
            anyhow::bail!("{what} did not happen within {limit:?}");
        }
        thread::sleep(pause);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_of_an_even_number_lies_between() {
        assert!((median([4.0, 1.0, 3.0, 2.0].into_iter()) - 2.5).abs() < 1e-9);
        assert!((median([3.0, 1.0, 2.0].into_iter()) - 2.0).abs() < 1e-9);
    }

    #[test]
    fn a_result_is_saved_under_a_plain_name() {
        assert!(file_name("before-2.1").is_ok());

        for odd in ["", "../x", "a/b", ".hidden"] {
            assert!(file_name(odd).is_err(), "{odd}");
        }
    }

    #[test]
    fn the_same_chat_goes_to_all_three_targets_in_turns() {
        let upstream = ScriptedUpstream::start(3).unwrap();
        let address = upstream.address();
        // Breezeway's path is answered too, so the upstream can stand in for both proxies.
        let chat = Chat {
            upstream: address,
            bare: address,
            breezeway: address,
            key: "sk-x".to_owned(),
            processes: [std::process::id(); 2],
        };

        let rounds = load::in_turns(&chat.targets(), 2, Duration::from_millis(30), 2).unwrap();

        assert_eq!(rounds.len(), 2);
        for target in [UPSTREAM, BARE, BREEZEWAY] {
            assert!(rounds[0][target].per_second() > 0.0);
            assert!(micros(&rounds[1], target) > 0.0);
        }
    }

    #[test]
    fn an_answer_that_is_no_success_ends_the_measurement_with_its_text() {
        let upstream = ScriptedUpstream::start(3).unwrap();
        let address = upstream.address();
        let request = http::request("GET", "/nowhere", address, None, b"");
        let target = Target { address, request, process: None };

        let failure = load::in_turns(&[target], 1, Duration::from_millis(30), 1).err().unwrap();

        let text = format!("{failure:#}");
        assert!(text.contains("404") && text.contains("no such route"), "{text}");
    }
}
