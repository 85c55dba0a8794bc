use std::collections::HashMap;

use breezeway_core::{ApiKeyId, KeyRules};
use breezeway_usage::{Day, GroupBy, ReportQuery};
use proptest::prelude::*;

use super::*;

const KEPT: CacheConfig = CacheConfig { max_bytes: 1 << 20, time_to_live: Duration::from_secs(60) };

async fn keeping() -> Bench {
    let bench = bench(Vec::new(), |_| {}).await;
    Bench { router: bench.router.clone().with_cache(KEPT), ..bench }
}

fn whole(text: &str) -> Value {
    json!({"choices": [{"index": 0, "message": {"role": "assistant", "content": text}}]})
}

fn cold(text: &str) -> Value {
    json!({"model": "c.gpt", "messages": says(text), "temperature": 0})
}

impl Bench {
    async fn noted(&self, request: Value) -> (String, Option<CacheUse>) {
        self.noted_for(&principal(Role::Admin), request, Freshness::Any).await
    }

    async fn noted_for(
        &self,
        principal: &Principal,
        request: Value,
        freshness: Freshness,
    ) -> (String, Option<CacheUse>) {
        let request = ChatRequest::try_from(request).unwrap();
        let noted = self.router.complete_noting(principal, request, freshness).await.unwrap();
        (text_of(noted.answer).await, noted.cache)
    }

    fn asked(&self) -> usize {
        self.cloud.requests().len()
    }
}

#[tokio::test]
async fn the_same_cold_question_is_asked_once() {
    let bench = keeping().await;
    bench.cloud.reply_whole(&whole("one"));

    let first = bench.noted(cold("hi")).await;
    // Fields in another order, and the model by another spelling of nothing: the same question.
    let again = json!({"temperature": 0, "messages": says("hi"), "model": "c.gpt"});
    let second = bench.noted(again).await;

    assert_eq!(first, (whole("one").to_string(), Some(CacheUse::Miss)));
    assert_eq!(second, (whole("one").to_string(), Some(CacheUse::Hit)));
    assert_eq!(bench.asked(), 1);
}

#[tokio::test]
async fn a_stream_is_told_again_frame_by_frame() {
    let bench = keeping().await;
    let frames = vec![Ok(chunk("a")), Ok(chunk("b")), Ok(Frame::done())];
    bench.cloud.reply_frames(frames);
    let mut request = cold("hi");
    request["stream"] = true.into();

    let first = bench.noted(request.clone()).await;
    let second = bench.noted(request).await;

    assert_eq!(first.0, second.0);
    assert_eq!((first.1, second.1), (Some(CacheUse::Miss), Some(CacheUse::Hit)));
    assert_eq!(bench.asked(), 1);
}

#[tokio::test]
async fn what_broke_off_or_went_wrong_is_not_kept() {
    let bench = keeping().await;
    let mut streamed = cold("hi");
    streamed["stream"] = true.into();
    bench.cloud.reply_frames(vec![Ok(chunk("a")), Err(broken())]);
    bench.cloud.reply_frames(vec![Ok(openai::error_frame("no")), Ok(Frame::done())]);
    bench.cloud.reply_frames(vec![Ok(chunk("a"))]);
    for _ in 0..3 {
        assert_eq!(bench.noted(streamed.clone()).await.1, Some(CacheUse::Miss));
    }
    assert_eq!(bench.noted(streamed).await.1, Some(CacheUse::Miss));

    bench.cloud.reply_whole(&json!({"error": {"message": "no"}}));
    assert_eq!(bench.noted(cold("hi")).await.1, Some(CacheUse::Miss));
    assert_eq!(bench.noted(cold("hi")).await.1, Some(CacheUse::Miss));
}

#[tokio::test]
async fn what_may_change_or_is_not_to_be_kept_is_always_asked() {
    let knowing = custom("knowing", "c.gpt", json!({}), json!({"knowledge": [{"id": "tower"}]}));
    let bench = bench(vec![knowing], |_| {}).await;
    let bench = Bench { router: bench.router.clone().with_cache(KEPT), ..bench };
    let with = |name: &str, value: Value| {
        let mut request = cold("hi");
        request[name] = value;
        request
    };

    for request in [
        with("temperature", json!(0.2)),
        with("tools", json!([{"type": "function"}])),
        with("files", json!([{"type": "file", "id": "bell"}])),
        with("files", json!([{"type": "file", "id": "unknown"}])),
        with("model", json!("knowing")),
    ] {
        for _ in 0..2 {
            assert_eq!(bench.noted(request.clone()).await.1, None, "{request}");
        }
    }
    for _ in 0..2 {
        let noted = bench.noted_for(&principal(Role::Admin), cold("hi"), Freshness::NoStore).await;
        assert_eq!(noted.1, None);
    }
    assert_eq!(bench.asked(), 12);
}

#[tokio::test]
async fn a_changed_layer_is_another_question() {
    let layer = |system: &str| custom("zed", "c.gpt", json!({"system": system}), json!({}));
    let first = bench(vec![layer("be kind")], |_| {}).await;
    let cache = first.router.clone().with_cache(KEPT).cache;
    let second = bench(vec![layer("be rude")], |_| {}).await;
    let mut request = cold("hi");
    request["model"] = "zed".into();

    // The same cache before and after the change.
    for (bench, expected) in [(&first, CacheUse::Miss), (&first, CacheUse::Hit), (&second, CacheUse::Miss)] {
        let router = ChatRouter { cache: cache.clone(), ..bench.router.clone() };
        let request = ChatRequest::try_from(request.clone()).unwrap();
        let noted = router.complete_noting(&principal(Role::Admin), request, Freshness::Any).await.unwrap();
        assert_eq!(noted.cache, Some(expected));
    }
}

#[tokio::test]
async fn a_kept_answer_is_a_request_without_tokens() {
    let bench = keeping().await;
    let mut answer = whole("one");
    answer["usage"] = json!({"prompt_tokens": 5, "completion_tokens": 2});
    bench.cloud.reply_whole(&answer);

    for _ in 0..3 {
        bench.noted(cold("hi")).await;
    }

    let day = Day::of(bench.router.registry.clock().now());
    let query =
        ReportQuery { since: day, until: day, account: None, group_by: GroupBy::default(), limit: 10 };
    let rows = bench.meter.report(&query).await.unwrap();
    let totals: Vec<_> =
        rows.iter().map(|row| (row.totals.requests, row.totals.input, row.totals.output)).collect();
    assert_eq!(totals, [(3, 5, 2)]);
}

/// Who asks: an account, and perhaps with a key that has rules of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Asker {
    account: usize,
    key: Option<usize>,
}

impl Asker {
    fn principal(self) -> Principal {
        let account = ["ada", "eve"][self.account];
        let key = self.key.map(|key| format!("{account}-{key}").parse::<ApiKeyId>().unwrap());
        Principal {
            user: account.parse().unwrap(),
            credential: key.map_or(Credential::Local, Credential::ApiKey),
            rules: self.key.map(|_| Arc::new(KeyRules::default())),
            ..principal(Role::Admin)
        }
    }
}

fn asker() -> impl Strategy<Value = Asker> {
    (0..2usize, proptest::option::of(0..2usize)).prop_map(|(account, key)| Asker { account, key })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Every answer has a number of its own, so one that somebody else was given first would be known.
    #[test]
    fn nobody_sees_an_answer_of_somebody_else(
        calls in proptest::collection::vec((asker(), 0..2usize, any::<bool>()), 1..40)
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let bench = keeping().await;
            let mut given: HashMap<String, (Asker, usize, bool)> = HashMap::new();
            for (number, call) in calls.into_iter().enumerate() {
                let (asker, question, stream) = call;
                let is_known = given.values().any(|known| *known == call);
                let text = format!("answer {number}.");
                match stream {
                    _ if is_known => {}
                    true => bench.cloud.reply_frames(vec![Ok(chunk(&text)), Ok(Frame::done())]),
                    false => bench.cloud.reply_whole(&whole(&text)),
                }
                let asked = bench.asked();
                let mut request = cold(["why", "how"][question]);
                request["stream"] = stream.into();

                let (answer, cache) = bench.noted_for(&asker.principal(), request, Freshness::Any).await;

                if is_known {
                    prop_assert_eq!(cache, Some(CacheUse::Hit));
                    prop_assert_eq!(given.get(&answer), Some(&call));
                    prop_assert_eq!(bench.asked(), asked);
                } else {
                    prop_assert_eq!(cache, Some(CacheUse::Miss));
                    prop_assert!(answer.contains(&text));
                    prop_assert_eq!(given.insert(answer, call), None);
                }
            }
            Ok(())
        })?;
    }
}
