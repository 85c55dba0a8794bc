use proptest::prelude::*;

use super::*;
use crate::own::OWN_FIELDS;

/// Words that mean something somewhere in a request.
const WORDS: [&str; 24] = [
    "role",
    "content",
    "type",
    "text",
    "user",
    "system",
    "assistant",
    "file",
    "collection",
    "id",
    "bell",
    "tower",
    "context",
    "full",
    "options",
    "custom_params",
    "temperature",
    "num_ctx",
    "max_tokens",
    "{{USER_NAME}}",
    "{{",
    "</source>",
    "queries",
    "",
];

fn json_value() -> impl Strategy<Value = Value> {
    let word = prop::sample::select(&WORDS[..]);
    let leaf = prop_oneof![
        4 => word.clone().prop_map(Value::from),
        1 => any::<Option<i64>>().prop_map(Value::from),
        1 => any::<bool>().prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 4, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((word.clone(), inner), 0..5).prop_map(|fields| Value::Object(
                fields.into_iter().map(|(k, v)| (k.to_owned(), v)).collect()
            )),
        ]
    })
}

fn request() -> impl Strategy<Value = Value> {
    const NAMES: [&str; 9] = [
        "messages",
        "files",
        "params",
        "variables",
        "options",
        "stream",
        "stream_options",
        "chat_id",
        "metadata",
    ];
    let fields = prop::collection::vec((prop::sample::select(&NAMES[..]), json_value()), 0..8);
    // Mostly proper messages, so that most requests get past the first check.
    (fields, prop::option::weighted(0.7, prop::collection::vec(json_value(), 0..4))).prop_map(
        |(fields, messages)| {
            let mut request: Map<_, _> =
                fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
            if let Some(mut messages) = messages {
                messages.push(json!({"role": "user", "content": "How heavy?"}));
                request.insert("messages".into(), messages.into());
            }
            Value::Object(request)
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn no_request_panics_and_none_of_our_fields_leaves(request in request(), meta in json_value(), params in json_value()) {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let params = json!({"system": params, "custom_params": params, "temperature": params});
            let overlay = custom("zed", "c.gpt", params, json!({"knowledge": meta}));
            let bench = bench(vec![overlay], |_| {}).await;
            for model in ["c.gpt", "llama3.2", "zed"] {
                let mut request = request.clone();
                request["model"] = model.into();
                match bench.complete(request).await {
                    Ok(answer) => drop(text_of(answer).await),
                    Err(error) => prop_assert!(matches!(error, Error::BadMessages(_)), "{}", error),
                }
            }
            for sent in bench.cloud.requests().iter().chain(&bench.local.requests()) {
                for name in OWN_FIELDS {
                    prop_assert!(!sent.as_map().contains_key(name), "{} in {:?}", name, sent);
                }
                prop_assert!(["gpt", "llama3.2:latest"].contains(&sent.model().unwrap()));
            }
            Ok(())
        })?;
    }
}
