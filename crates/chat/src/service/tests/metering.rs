use breezeway_usage::{Day, GroupBy, ReportQuery, Totals};
use proptest::prelude::*;

use super::*;

const PROMPT: u64 = 11;

/// How a call goes.
#[derive(Clone, Copy, Debug)]
enum Course {
    /// A whole answer that says what it took.
    Whole,
    /// A whole answer that does not.
    WholeSilent,
    /// A stream that says what it took, read to its end.
    Stream,
    /// The same, and the client hangs up behind the end mark.
    StreamLeftAtDone,
    /// A stream that does not say, read to its end.
    StreamSilent,
    /// A stream whose client leaves after so many pieces.
    Left(usize),
    /// A stream that breaks after so many pieces.
    Broken(usize),
    /// An upstream that refuses.
    Refused,
}

/// Pieces of text in a stream; each is eight bytes, two tokens by estimate.
const PIECES: usize = 3;

fn usage(output: u64) -> Value {
    json!({"prompt_tokens": PROMPT, "completion_tokens": output,
        "prompt_tokens_details": {"cached_tokens": 4}})
}

fn pieces(count: usize) -> Vec<Result<Frame, UpstreamError>> {
    (0..count).map(|_| Ok(chunk("12345678"))).collect()
}

impl Bench {
    async fn go(&self, course: Course, output: u64) {
        let cloud = &self.cloud;
        let mut read = usize::MAX;
        match course {
            Course::Whole => cloud.reply_whole(&json!({"choices": [], "usage": usage(output)})),
            Course::WholeSilent => {
                cloud.reply_whole(&json!({"choices": [{"message": {"content": "12345678"}}]}));
            }
            Course::Stream | Course::StreamLeftAtDone => {
                let last = Frame::json(&json!({"choices": [], "usage": usage(output)}));
                let mut frames = pieces(PIECES);
                frames.extend([Ok(last), Ok(Frame::done())]);
                if matches!(course, Course::StreamLeftAtDone) {
                    read = frames.len();
                    cloud.reply_frames_then_hang(frames);
                } else {
                    cloud.reply_frames(frames);
                }
            }
            Course::StreamSilent => {
                let mut frames = pieces(PIECES);
                frames.push(Ok(Frame::done()));
                cloud.reply_frames(frames);
            }
            Course::Left(after) => {
                read = after;
                cloud.reply_frames_then_hang(pieces(after));
            }
            Course::Broken(after) => {
                let mut frames = pieces(after);
                frames.push(Err(broken()));
                cloud.reply_frames(frames);
            }
            Course::Refused => cloud.fail_chat(UpstreamError::Answered {
                status: 400,
                content_type: None,
                body: Bytes::from_static(b"{}"),
                retry_after: None,
            }),
        }
        let is_stream = !matches!(course, Course::Whole | Course::WholeSilent | Course::Refused);
        let request = json!({"model": "c.gpt", "messages": says("four"), "stream": is_stream});
        if let Ok(Answer::Stream(mut frames)) = self.complete(request).await {
            while read > 0 && frames.next().await.is_some() {
                read -= 1;
            }
        }
    }

    async fn used(&self) -> Totals {
        let query = ReportQuery {
            since: Day::default(),
            until: Day::from_number(100_000),
            account: None,
            group_by: GroupBy::default(),
            limit: 10,
        };
        let rows = self.meter.report(&query).await.unwrap();
        rows.first().map(|row| row.totals).unwrap_or_default()
    }
}

/// What the ledger must say of a call. An estimate of the prompt: four for the message, one for `four`.
fn expected(course: Course, output: u64) -> Totals {
    let said = Totals { requests: 1, input: PROMPT, cached: 4, output, ..Totals::default() };
    let guessed = |pieces: usize| Totals {
        requests: 1,
        estimated: 1,
        input: 5,
        output: 2 * pieces as u64,
        ..Totals::default()
    };
    match course {
        Course::Whole | Course::Stream | Course::StreamLeftAtDone => said,
        Course::WholeSilent => guessed(1),
        Course::StreamSilent => guessed(PIECES),
        Course::Left(after) => Totals { aborted: 1, ..guessed(after) },
        Course::Broken(after) => Totals { failed: 1, ..guessed(after) },
        Course::Refused => Totals { requests: 1, failed: 1, ..Totals::default() },
    }
}

/// What does not depend on the time.
fn counts(totals: &Totals) -> [u64; 8] {
    let Totals { requests, estimated, failed, aborted, refused, input, output, cached, .. } = *totals;
    [requests, estimated, failed, aborted, refused, input, output, cached]
}

fn course() -> impl Strategy<Value = Course> {
    prop_oneof![
        Just(Course::Whole),
        Just(Course::WholeSilent),
        Just(Course::Stream),
        Just(Course::StreamLeftAtDone),
        Just(Course::StreamSilent),
        (0..4_usize).prop_map(Course::Left),
        (0..4_usize).prop_map(Course::Broken),
        Just(Course::Refused),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_is_settled_is_what_the_upstream_says_or_an_estimate_of_what_passed(
        calls in proptest::collection::vec((course(), 0..1000_u64), 0..12),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let used = runtime.block_on(async {
            let bench = bench(Vec::new(), |_| {}).await;
            for &(course, output) in &calls {
                bench.go(course, output).await;
            }
            assert_eq!(bench.cloud.open_calls(), 0, "nothing stays open");
            bench.used().await
        });

        let mut sum = [0; 8];
        for (course, output) in calls {
            let call = counts(&expected(course, output));
            sum = std::array::from_fn(|column| sum[column] + call[column]);
        }
        prop_assert_eq!(counts(&used), sum);
    }
}

#[tokio::test]
async fn the_rest_of_an_answer_is_read_where_the_connection_wants_that() {
    let bench = bench(Vec::new(), |_| {}).await;
    let route = bench.router.registry.resolve(&principal(Role::Admin), "c.gpt").unwrap();
    let mut connection = (*route.connection).clone();
    connection.other.insert("on_abort".into(), "drain-and-bill".into());
    bench.router.registry.set_connections(vec![connection]).unwrap();
    bench.router.registry.refresh(false).await;
    let router = bench.router.clone();
    let mut draining = tokio::task::JoinSet::new();
    draining.spawn(async move { router.run().await });
    tokio::task::yield_now().await;
    let mut frames = pieces(PIECES);
    frames.extend([Ok(Frame::json(&json!({"choices": [], "usage": usage(77)}))), Ok(Frame::done())]);
    bench.cloud.reply_frames(frames);

    let request = json!({"model": "c.gpt", "messages": says("four"), "stream": true});
    let Answer::Stream(mut answer) = bench.complete(request).await.unwrap() else { panic!("a stream") };
    answer.next().await.unwrap().unwrap();
    drop(answer);
    while bench.cloud.open_calls() > 0 {
        tokio::task::yield_now().await;
    }
    drop(draining);

    let used = bench.used().await;
    assert_eq!((used.aborted, used.estimated, used.output), (1, 0, 77), "{used:?}");
}

#[tokio::test]
async fn a_question_for_queries_is_counted_too() {
    let bench = bench(Vec::new(), |config| config.query_generation = QueryGeneration::Always).await;

    bench
        .text(json!({"model": "c.gpt", "messages": says("hi"),
            "files": [{"type": "collection", "id": "tower"}]}))
        .await;

    assert_eq!(bench.used().await.requests, 2);
}

#[tokio::test]
async fn a_model_whose_usage_is_wanted_is_asked_for_it() {
    let wanted = custom("mine", "c.gpt", json!({}), json!({"capabilities": {"usage": true}}));
    let bench = bench(vec![wanted], |_| {}).await;
    bench.cloud.reply_frames(vec![Ok(Frame::done())]);

    bench.text(json!({"model": "mine", "messages": says("hi"), "stream": true})).await;

    let sent = bench.cloud.requests().pop().unwrap();
    assert_eq!(sent.as_map()["stream_options"], json!({"include_usage": true}));
}
