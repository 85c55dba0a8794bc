//! Several connections with one model, through the whole gateway.

use breezeway::parts::registry::{Alias, ConnectionKind};
use breezeway_testkit::{Reply, ScriptedUpstream};
use serde_json::{Value, json};

use crate::harness::{TestServer, connection};

const CHAT: &str = "/v1/chat/completions";

fn question(model: &str) -> Value {
    json!({"model": model, "messages": [{"role": "user", "content": "hi"}]})
}

/// A gateway with two connections that have the same models, the first preferred.
async fn two(change: impl FnOnce(&mut breezeway::Config)) -> (TestServer, [ScriptedUpstream; 2]) {
    let upstreams =
        [ScriptedUpstream::with_models(["m", "n"]).await, ScriptedUpstream::with_models(["m"]).await];
    let server = TestServer::with(|config| {
        for (index, upstream) in upstreams.iter().enumerate() {
            let mut connection = connection(ConnectionKind::OpenAi, upstream.openai_url());
            connection.index = index;
            connection.routing.priority = u32::try_from(index).unwrap();
            config.connections.push(connection);
        }
        change(config);
    })
    .await;
    (server, upstreams)
}

#[tokio::test]
async fn clients_do_not_notice_that_a_connection_is_out() {
    let (server, [first, second]) = two(|_| {}).await;
    let ada = server.sign_up("ada").await;
    ada.get("/api/models?refresh=true").await;
    first.always(CHAT, Reply::json(503, &json!({"error": {"message": "maintenance"}})));

    for stream in [false, true] {
        let mut question = question("m");
        question["stream"] = stream.into();
        let answer = ada.post("/api/chat/completions", question).await;

        assert_eq!(answer.status, 200, "{}", answer.summary());
    }

    assert_eq!(second.received_at(CHAT).len(), 2);
}

#[tokio::test]
async fn the_last_connections_own_words_reach_the_client() {
    let (server, [first, second]) = two(|_| {}).await;
    let ada = server.sign_up("ada").await;
    ada.get("/api/models?refresh=true").await;
    let busy = Reply::json(429, &json!({"error": {"message": "slow down"}})).header("retry-after", "7");
    first.always(CHAT, busy.clone());
    second.always(CHAT, busy);

    let answer = ada.post("/api/chat/completions", question("m")).await;

    assert_eq!((answer.status, answer.header("retry-after")), (429, "7"));
    assert_eq!(answer.json()["error"]["message"], "slow down");
}

#[tokio::test]
async fn more_than_a_connection_may_have_is_a_503_that_says_when_to_come_back() {
    let (server, [first, second]) = two(|config| {
        for connection in &mut config.connections {
            (connection.routing.max_in_flight, connection.routing.max_queue) = (Some(1), Some(0));
        }
    })
    .await;
    let ada = server.sign_up("ada").await;
    ada.get("/api/models?refresh=true").await;
    first.always(CHAT, Reply::stall());
    second.always(CHAT, Reply::stall());
    let mut hanging = [
        Box::pin(ada.post("/api/chat/completions", question("m"))),
        Box::pin(ada.post("/api/chat/completions", question("m"))),
    ];
    let [one, other] = &mut hanging;
    tokio::select! {
        _ = one => panic!("nothing answers"),
        _ = other => panic!("nothing answers"),
        _ = async { tokio::join!(first.wait_for(CHAT), second.wait_for(CHAT)) } => {}
    }

    let answer = ada.post("/api/chat/completions", question("m")).await;

    insta::assert_snapshot!(answer.summary(), @r#"
    503 Service Unavailable
    {"detail":"The upstream has too much to do."}
    "#);
    assert_eq!(answer.header("retry-after"), "1");
}

#[tokio::test]
async fn an_alias_is_a_model_to_clients() {
    let (server, [first, second]) = two(|config| {
        let id = |text: &str| text.parse().unwrap();
        config.registry.aliases = vec![Alias { id: id("fast"), targets: vec![id("n"), id("m")] }];
    })
    .await;
    let ada = server.sign_up("ada").await;
    let models = ada.get("/api/models?refresh=true").await.json();
    first.always(CHAT, Reply::json(503, &json!({"error": {"message": "maintenance"}})));

    let answer = ada.post("/api/chat/completions", question("fast")).await;

    let ids: Vec<_> = models["data"].as_array().unwrap().iter().map(|model| &model["id"]).collect();
    assert_eq!(ids, ["m", "n", "fast"]);
    assert_eq!(answer.status, 200, "{}", answer.summary());
    assert_eq!(second.last_at(CHAT).json()["model"], "m");
}

#[tokio::test]
async fn an_alias_is_known_where_connections_are_asked_as_they_are() {
    let (server, [first, second]) = two(|config| {
        let id = |text: &str| text.parse().unwrap();
        config.registry.aliases = vec![Alias { id: id("fast"), targets: vec![id("n"), id("m")] }];
    })
    .await;
    let ada = server.sign_up("ada").await;
    ada.get("/api/models?refresh=true").await;
    first.always(CHAT, Reply::json(503, &json!({"error": {"message": "maintenance"}})));

    let answer = ada.post("/openai/chat/completions", question("fast")).await;

    assert_eq!(answer.status, 200, "{}", answer.summary());
    assert_eq!(second.last_at(CHAT).json()["model"], "m");
}

/// Two connections that are equally good.
async fn equals() -> (TestServer, [ScriptedUpstream; 2]) {
    two(|config| config.connections.iter_mut().for_each(|connection| connection.routing.priority = 0)).await
}

#[tokio::test]
async fn a_conversation_with_a_name_stays_where_it_began() {
    let (server, [first, second]) = equals().await;
    let ada = server.sign_up("ada").await;
    ada.get("/api/models?refresh=true").await;
    let mut spread = 0;

    for field in ["chat_id", "prompt_cache_key"] {
        for name in 0..12 {
            let chat = ada.post("/api/v1/chats/new", json!({"chat": {"title": "t"}})).await.json();
            let name =
                if field == "chat_id" { chat["id"].clone() } else { format!("conversation {name}").into() };
            let before = first.received_at(CHAT).len();
            for turn in 0..3 {
                // Its beginning differs, as it does where passages are put into it.
                let mut question = question("m");
                question["messages"][0]["content"] = format!("{turn}").into();
                question[field] = name.clone();
                let answer = ada.post("/api/chat/completions", question).await;
                assert_eq!(answer.status, 200, "{}", answer.summary());
            }
            let here = first.received_at(CHAT).len() - before;
            assert!(here == 0 || here == 3, "{here} of three turns");
            spread += here;
        }
    }

    assert!(spread > 0 && !second.received_at(CHAT).is_empty());
    assert_eq!(first.last_at(CHAT).json().get("chat_id"), None);
}

#[tokio::test]
async fn a_response_goes_on_where_it_was_made() {
    const RESPONSES: &str = "/v1/responses";
    let (server, [first, second]) = equals().await;
    let ada = server.sign_up("ada").await;
    ada.get("/api/models?refresh=true").await;
    for (upstream, id) in [(&first, "resp_first"), (&second, "resp_second")] {
        upstream.always(RESPONSES, Reply::json(200, &json!({"id": id, "object": "response", "output": []})));
    }

    for turn in 0..16 {
        let began = ada.post(RESPONSES, json!({"model": "m", "input": format!("{turn}")})).await.json();
        let ask = json!({"model": "m", "input": "and?", "previous_response_id": began["id"]});
        let went_on = ada.post(RESPONSES, ask).await.json();

        assert_eq!(went_on["id"], began["id"]);
    }

    let counts = [first.received_at(RESPONSES).len(), second.received_at(RESPONSES).len()];
    assert!(counts.iter().all(|&count| count > 0), "{counts:?}");
}

#[tokio::test]
async fn what_an_alias_took_is_counted_for_the_model_that_answered_and_by_its_price() {
    use breezeway::parts::usage::{Price, PriceTable};

    let flat = |price| Price { input: price, cached_input: price, output: price };
    let (server, [first, second]) = two(|config| {
        let id = |text: &str| text.parse().unwrap();
        config.registry.aliases = vec![Alias { id: id("fast"), targets: vec![id("n"), id("m")] }];
        let prices = [("fast", 7_000_000), ("n", 1_000_000), ("m", 3_000_000)];
        config.prices = PriceTable::new(prices.map(|(id, price)| (id.to_owned(), flat(price))));
    })
    .await;
    let ada = server.sign_up("ada").await;
    ada.get("/api/models?refresh=true").await;
    let cost = async || {
        let report = ada.get("/api/v1/usage?group_by=model").await.json();
        let rows = report["rows"].as_array().unwrap().clone();
        let tokens =
            |row: &Value| row["input_tokens"].as_u64().unwrap() + row["output_tokens"].as_u64().unwrap();
        let cost = |row: &Value| (row["cost"].as_f64().unwrap() * 1e6).round() as u64;
        rows.iter()
            .map(|row| (row["model"].as_str().unwrap().to_owned(), cost(row) / tokens(row)))
            .collect::<Vec<_>>()
    };

    assert_eq!(ada.post("/api/chat/completions", question("fast")).await.status, 200);
    assert_eq!(cost().await, [("n".to_owned(), 1)]);

    first.always(CHAT, Reply::json(503, &json!({"error": {"message": "maintenance"}})));
    let answer = ada.post("/api/chat/completions", question("fast")).await;
    assert_eq!(answer.status, 200, "{}", answer.summary());
    assert_eq!(second.last_at(CHAT).json()["model"], "m");
    assert_eq!(cost().await, [("m".to_owned(), 3), ("n".to_owned(), 1)]);
}
