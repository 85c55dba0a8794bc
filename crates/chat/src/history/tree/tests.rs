use breezeway_core::{ChatId, UnixTime};
use insta::assert_snapshot;
use proptest::prelude::*;

use super::*;
use crate::history::Reply;

fn turn(request: Value, content: &str) -> Turn {
    let mut turn =
        Turn::of(ChatId::mint(), request.as_object().unwrap(), UnixTime::from_seconds(1_800_000_000));
    turn.reply = Reply::Said(Said { content: content.into(), done: true, ..Said::default() });
    if !turn.is_named {
        turn.question_id = "minted".into();
    }
    turn
}

fn ask(text: &str, more: Value) -> Value {
    let mut request = json!({"model": "gpt", "id": "a1", "messages": [{"role": "user", "content": text}]});
    request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    request
}

fn written(mut body: Value, turn: &Turn) -> Value {
    turn.write_into(body.as_object_mut().unwrap());
    let once = body.clone();
    turn.write_into(body.as_object_mut().unwrap());
    assert_eq!(body, once, "a second time changes nothing");
    body
}

/// The tree as lines: id, role, text, and the ids before and behind.
fn shown(body: &Value) -> String {
    let history = &body["history"];
    let mut lines: Vec<String> = history["messages"]
        .as_object()
        .unwrap()
        .iter()
        .map(|(id, message)| {
            let (role, content) = (&message["role"], &message["content"]);
            format!("{id}: {role} {content} {} {}", message["parentId"], message["childrenIds"])
        })
        .collect();
    lines.push(format!("now {}", history["currentId"]));
    lines.join("\n")
}

#[test]
fn an_empty_chat_gets_question_and_answer() {
    let body = written(json!({"title": "x"}), &turn(ask("hello", json!({})), "hi"));

    assert_snapshot!(shown(&body), @r#"
    minted: "user" "hello" null ["a1"]
    a1: "assistant" "hi" "minted" []
    now "a1"
    "#);
    assert_snapshot!(body["history"]["messages"]["a1"].to_string(), @r#"{"id":"a1","parentId":"minted","childrenIds":[],"role":"assistant","content":"hi","model":"gpt","timestamp":1800000000,"done":true}"#);
}

fn with_question() -> Value {
    let question =
        json!({"id": "u1", "parentId": null, "childrenIds": [], "role": "user", "content": "hello"});
    json!({"messages": [question], "history": {"current_id": "u1", "messages": {"u1": question}}})
}

#[test]
fn a_question_that_is_there_is_answered_where_it_stands() {
    let body = written(with_question(), &turn(ask("hello", json!({})), "hi"));

    assert_snapshot!(shown(&body), @r#"
    u1: "user" "hello" null ["a1"]
    a1: "assistant" "hi" "u1" []
    now "a1"
    "#);
    assert_eq!(body["history"]["current_id"], "a1");
    assert_eq!(body["messages"][1]["content"], "hi");
}

#[test]
fn a_place_that_the_client_has_made_is_filled() {
    let mut before = with_question();
    before["history"]["messages"]["a1"] = json!({"id": "a1", "parentId": "u1", "role": "assistant", "content": "", "modelName": "GPT", "error": {"content": "old"}});

    let body = written(before, &turn(ask("something else", json!({})), "hi"));

    assert_snapshot!(shown(&body), @r#"
    u1: "user" "hello" null ["a1"]
    a1: "assistant" "hi" "u1" []
    now "a1"
    "#);
    let answer = &body["history"]["messages"]["a1"];
    assert_eq!((&answer["modelName"], answer.get("error")), (&json!("GPT"), None));
}

#[test]
fn the_next_turn_goes_on_from_the_last_answer() {
    let first = written(with_question(), &turn(ask("hello", json!({})), "hi"));
    let second = turn(ask("and now?", json!({"id": "a2"})), "well");

    assert_snapshot!(shown(&written(first, &second)), @r#"
    u1: "user" "hello" null ["a1"]
    a1: "assistant" "hi" "u1" ["minted"]
    minted: "user" "and now?" "a1" ["a2"]
    a2: "assistant" "well" "minted" []
    now "a2"
    "#);
}

#[test]
fn a_client_may_say_where_a_turn_belongs() {
    let first = written(with_question(), &turn(ask("hello", json!({})), "hi"));
    let named = json!({"id": "a2", "user_message": {"id": "u2", "parentId": "a1", "content": "why?"}});
    let from_answer = json!({"id": "a2", "parent_id": "a1"});
    let again = json!({"id": "a2", "parent_id": "u1"});
    let unknown = json!({"id": "a2", "parent_id": "u9"});

    assert_snapshot!(shown(&written(first.clone(), &turn(ask("why?", named), "so"))), @r#"
    u1: "user" "hello" null ["a1"]
    a1: "assistant" "hi" "u1" ["u2"]
    u2: "user" "why?" "a1" ["a2"]
    a2: "assistant" "so" "u2" []
    now "a2"
    "#);
    assert_snapshot!(shown(&written(first.clone(), &turn(ask("why?", from_answer), "so"))), @r#"
    u1: "user" "hello" null ["a1"]
    a1: "assistant" "hi" "u1" ["minted"]
    minted: "user" "why?" "a1" ["a2"]
    a2: "assistant" "so" "minted" []
    now "a2"
    "#);
    assert_snapshot!(shown(&written(first.clone(), &turn(ask("hello", again), "hey"))), @r#"
    u1: "user" "hello" null ["a1","a2"]
    a1: "assistant" "hi" "u1" []
    a2: "assistant" "hey" "u1" []
    now "a2"
    "#);
    assert_snapshot!(shown(&written(first, &turn(ask("why?", unknown), "so"))), @r#"
    u1: "user" "hello" null ["a1"]
    a1: "assistant" "hi" "u1" ["u9"]
    u9: "user" "why?" "a1" ["a2"]
    a2: "assistant" "so" "u9" []
    now "a2"
    "#);
}

/// JSON as strangers might write it where a tree should be.
fn anything() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(json!(null)),
        Just(json!(7)),
        Just(json!("a1")),
        Just(json!("u1")),
        Just(json!("user")),
    ];
    leaf.prop_recursive(5, 40, 5, |inner| {
        let name = prop_oneof![
            Just("history"),
            Just("messages"),
            Just("currentId"),
            Just("a1"),
            Just("u1"),
            Just("role"),
            Just("parentId"),
            Just("childrenIds"),
            Just("content"),
            Just("id"),
        ];
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::Array),
            proptest::collection::vec((name, inner), 0..6).prop_map(|fields| fields
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value))
                .collect::<Map<_, _>>()
                .into()),
        ]
    })
}

proptest! {
    #[test]
    fn whatever_a_client_wrote_the_answer_is_found_under_its_id(body in anything(), request in anything()) {
        let Value::Object(mut body) = body else { return Ok(()) };
        let request = ask("hello", json!({"user_message": request, "parent_id": "u1"}));
        let turn = turn(request, "hi");

        turn.write_into(&mut body);
        let once = body.clone();
        turn.write_into(&mut body);

        prop_assert_eq!(&body, &once);
        prop_assert_eq!(&body["history"]["messages"]["a1"]["content"], &json!("hi"));
        prop_assert_eq!(&body["history"]["currentId"], &json!("a1"));
        let parent = body["history"]["messages"]["a1"]["parentId"].clone();
        prop_assert_ne!(parent, json!("a1"));
    }
}

#[test]
fn a_question_that_was_written_before_makes_no_difference_to_the_end() {
    let fresh = json!({"title": "x", "messages": []});
    let named = json!({"user_message": {"id": "q1", "content": "hello"}, "parent_id": null});
    for (body, more) in [
        (fresh.clone(), json!({})),
        (fresh, named.clone()),
        (with_question(), json!({})),
        (with_question(), named),
    ] {
        let turn = turn(ask("hello", more), "hi");
        let begun = Turn { reply: Reply::Begun, ..turn.clone() };

        let asked = written(body.clone(), &begun);
        let answered = written(asked.clone(), &turn);

        let answer = &asked["history"]["messages"]["a1"];
        assert_eq!((&answer["content"], &answer["done"]), (&json!(""), &json!(false)), "{asked}");
        assert_eq!(shown(&answered), shown(&written(body, &turn)));
    }
}

#[test]
fn an_answer_that_is_asked_for_anew_stays_until_there_is_another() {
    let turn = turn(ask("hello", json!({})), "hi");
    let begun = Turn { reply: Reply::Begun, ..turn.clone() };
    let body = written(json!({}), &turn);

    assert_eq!(written(body.clone(), &begun), body);
}
