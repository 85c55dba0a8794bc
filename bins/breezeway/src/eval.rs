//! `breezeway eval`: the search that answers chats, judged on questions whose answers are known.

use std::{fs, io::Read, path::Path, sync::Arc};

use anyhow::{Context, Result, anyhow, bail};
use breezeway::{
    judged::{JudgedCollection, JudgedOptions, Remembered, judge, model_of},
    parts::{
        embedding::EmbeddingModel,
        retrieval::{Leg, Question, RetrieverConfig, eval::Summary},
    },
};
use flate2::read::MultiGzDecoder;
use serde_json::json;

use crate::{cli::EvalArgs, config::Settings, telemetry};

/// Judge every folder, one row for each weight.
pub(crate) fn run(settings: Settings, args: &EvalArgs) -> Result<()> {
    let _log = telemetry::install(&settings.log_level, settings.log_json)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(judged(settings, args))
}

async fn judged(settings: Settings, args: &EvalArgs) -> Result<()> {
    let model = match args.words {
        true => None,
        false => model_of(&settings.gateway).await.map_err(|error| anyhow!(error))?,
    };
    if model.is_none() && !args.words {
        bail!("the settings name no embedding model; `--words` judges the search by words alone");
    }
    let remembered = match (&args.vectors, &model) {
        (Some(file), Some(model)) => {
            let opened = Remembered::open(model.clone(), file).map_err(|error| anyhow!(error))?;
            Some(Arc::new(opened))
        }
        _ => None,
    };
    let model = remembered.clone().map(|model| model as Arc<dyn EmbeddingModel>).or(model);
    let weights: Vec<Option<f32>> = match args.weight.is_empty() {
        true => vec![settings.gateway.rag.dense_weight],
        false => args.weight.iter().copied().map(Some).collect(),
    };
    let mut means = vec![Vec::new(); weights.len()];
    for folder in &args.folders {
        let collection = read(folder, args.whole).with_context(|| folder.display().to_string())?;
        for (weight, means) in weights.iter().zip(&mut means) {
            let question = Question {
                limit: 100,
                legs: match (args.words, args.meaning) {
                    (true, _) => Leg::Lexical,
                    (_, true) => Leg::Dense,
                    _ => Leg::Both,
                },
                dense_weight: *weight,
                ..Question::default()
            };
            let options = JudgedOptions { retriever: RetrieverConfig::default(), question };
            let report = judge(&collection, model.clone(), &options).await.map_err(|error| anyhow!(error))?;
            if let Some(reason) = report.degraded.as_ref().filter(|_| !args.words) {
                bail!("{}: searched by words alone: {reason}", folder.display());
            }
            let summary = report.summary();
            means.push(summary.ndcg_10);
            print_row(args.json, folder, collection.documents.len(), *weight, &summary);
        }
        if let (Some(file), Some(remembered)) = (&args.vectors, &remembered) {
            remembered.save(file).map_err(|error| anyhow!(error))?;
        }
    }
    for (weight, means) in weights.iter().zip(&means) {
        let mean = means.iter().sum::<f64>() / means.len().max(1) as f64;
        print_mean(args.json, *weight, mean);
        if args.floor.is_some_and(|floor| mean < floor) {
            bail!("the mean nDCG@10 is {mean:.4}, below the floor of {}", args.floor.unwrap_or_default());
        }
    }
    Ok(())
}

#[expect(clippy::print_stdout, reason = "the command's answer")]
fn print_row(as_json: bool, folder: &Path, documents: usize, weight: Option<f32>, summary: &Summary) {
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    let times = summary.times.iter().map(|(stage, times)| {
        let millis = |time: std::time::Duration| (time.as_secs_f64() * 1e6).round() / 1e3;
        ((*stage).to_owned(), json!({"p50_ms": millis(times.p50), "p99_ms": millis(times.p99)}))
    });
    if as_json {
        let times: serde_json::Map<_, _> = times.collect();
        let row = json!({
            "collection": name, "documents": documents, "weight": weight, "questions": summary.questions,
            "ndcg@10": summary.ndcg_10, "recall@10": summary.recall_10, "recall@100": summary.recall_100,
            "mrr@10": summary.mrr_10, "times": times,
        });
        println!("{row}");
        return;
    }
    let total = summary.times.last().map_or(0.0, |(_, times)| times.p50.as_secs_f64() * 1e3);
    println!(
        "{name:18} {documents:6} docs {:5} asked  weight {:7}  nDCG@10 {:.4}  R@10 {:.4}  R@100 {:.4}  MRR@10 {:.4}  p50 {total:.1} ms",
        summary.questions,
        weight.map_or("default".to_owned(), |weight| weight.to_string()),
        summary.ndcg_10,
        summary.recall_10,
        summary.recall_100,
        summary.mrr_10,
    );
}

#[expect(clippy::print_stdout, reason = "the command's answer")]
fn print_mean(as_json: bool, weight: Option<f32>, mean: f64) {
    if as_json {
        println!("{}", json!({"mean": mean, "weight": weight}));
    } else {
        let weight = weight.map_or("default".to_owned(), |weight| weight.to_string());
        println!("mean nDCG@10 {mean:.4}  weight {weight}");
    }
}

fn read(folder: &Path, whole: bool) -> Result<JudgedCollection> {
    let text = |name: &str| fs::read_to_string(folder.join(name)).with_context(|| name.to_owned());
    let corpus = if folder.join("corpus.jsonl").exists() { text("corpus.jsonl")? } else { unpacked(folder)? };
    let subset = folder.join("subset.txt");
    let subset = (!whole && subset.exists()).then(|| fs::read_to_string(subset)).transpose()?;
    Ok(JudgedCollection::parse(&corpus, &text("queries.jsonl")?, &text("qrels.tsv")?, subset.as_deref())?)
}

/// The corpus out of its archive.
fn unpacked(folder: &Path) -> Result<String> {
    let packed = fs::File::open(folder.join("corpus.jsonl.gz")).context("corpus.jsonl.gz")?;
    let mut text = String::new();
    MultiGzDecoder::new(packed).read_to_string(&mut text).context("corpus.jsonl.gz")?;
    Ok(text)
}
