use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::testing;

fn request(messages: Value) -> ChatRequest {
    ChatRequest::try_from(json!({"model": "m", "messages": messages})).unwrap()
}

#[test]
fn only_an_object_is_a_request() {
    assert_eq!(ChatRequest::try_from(json!([1])), Err(InvalidRequest));
    assert_eq!(ChatRequest::try_from(json!({"model": "m"})).unwrap().model(), Some("m"));
}

#[test]
fn no_log_shows_what_was_asked() {
    let shown = format!("{:?}", request(json!([{"role": "user", "content": "secret"}])));

    assert_eq!(shown, "ChatRequest { model: Some(\"m\"), messages: 1, .. }");
}

#[test]
fn the_last_text_of_the_user_is_found_behind_other_messages() {
    let parts = json!([{"type": "text", "text": "a"}, {"type": "image_url"}, {"type": "text", "text": "b"}]);
    let request = request(json!([
        {"role": "user", "content": "first"},
        {"role": "user", "content": parts},
        {"role": "assistant", "content": "c"},
    ]));

    assert_eq!(request.last_user_text().as_deref(), Some("a\nb"));
}

#[test]
fn context_goes_before_the_last_text_of_the_user() {
    let check = |content: Value, expected: Value| {
        let mut request =
            request(json!([{"role": "user", "content": content}, {"role": "assistant", "content": "x"}]));

        request.put_before_last_user_text("context");

        assert_eq!(request.messages()[0]["content"], expected);
        assert_eq!(request.messages()[1]["content"], "x");
    };
    let image = json!({"type": "image_url", "image_url": {"url": "u"}});
    let part = |text: &str| json!({"type": "text", "text": text});

    check(json!("question"), json!("context\nquestion"));
    check(
        json!([image, part("question"), part("more")]),
        json!([image, part("context\nquestion"), part("more")]),
    );
    check(json!([image]), json!([part("context"), image]));
    check(json!(null), json!("context\n"));
}

#[test]
fn a_system_message_is_extended_or_made() {
    let mut with = request(json!([{"role": "system", "content": "old"}]));
    let mut without = request(json!([{"role": "user", "content": "hi"}]));

    with.add_to_system("new", SystemPosition::After);
    with.add_to_system("first", SystemPosition::Before);
    without.add_to_system("new", SystemPosition::After);

    assert_eq!(with.messages(), [json!({"role": "system", "content": "first\nold\nnew"})]);
    assert_eq!(without.messages()[0], json!({"role": "system", "content": "new"}));
    assert_eq!(without.messages().len(), 2);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn any_request_can_be_changed_and_keeps_what_is_unknown(
        object in testing::objects_with_list("messages"),
        value in testing::values(),
    ) {
        let mut request = ChatRequest::new(object);
        request.as_map_mut().insert("x_unknown".into(), value.clone());

        request.put_before_last_user_text("context");
        request.add_to_system("system", SystemPosition::Before);
        request.set_model("other");

        prop_assert_eq!(request.model(), Some("other"));
        prop_assert_eq!(&request.as_map()["x_unknown"], &value);
        let system = text_of(&request.messages()[0]["content"]);
        prop_assert!(system.starts_with("system"));
    }
}
