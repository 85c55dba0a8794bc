use breezeway_core::{FileId, UnixTime, UserId};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::*;
use crate::{BlobHash, FileState};

fn file(metadata: Value) -> File {
    File {
        id: "f".parse::<FileId>().unwrap(),
        owner: "ada".parse::<UserId>().unwrap(),
        name: "Report.PDF".into(),
        media_type: "application/pdf".into(),
        size_bytes: 2048,
        blob: BlobHash([0; 32]),
        text_hash: None,
        metadata: metadata.as_object().cloned().unwrap_or_default(),
        state: FileState::Completed,
        created_at: UnixTime::from_seconds(1_700_000_000),
        updated_at: UnixTime::from_seconds(1_700_000_100),
    }
}

fn passes(filter: Value) -> bool {
    let metadata =
        json!({"author": "ada", "year": 2024, "tags": ["tram", "boat"], "draft": false, "name": null});
    let attributes = json!({"year": 2025, "region": "EU"});
    let filter = Filter::parse(&filter).unwrap().expect("a filter");
    filter.passes(&file(metadata), attributes.as_object().unwrap())
}

fn is(kind: &str, key: &str, value: Value) -> Value {
    json!({"type": kind, "key": key, "value": value})
}

#[test]
fn values_come_from_the_collection_then_the_file_then_what_every_file_has() {
    assert!(passes(is("eq", "year", json!(2025))));
    assert!(passes(is("eq", "author", json!("ada"))));
    assert!(passes(is("eq", "name", json!("Report.PDF"))));
    assert!(passes(is("eq", "extension", json!("pdf"))));
    assert!(passes(is("gte", "size", json!(2048))));
    assert!(passes(is("eq", "type", json!("application/pdf"))));
    assert!(passes(is("in", "owner", json!(["eve", "ada"]))));
}

#[test]
fn times_compare_with_seconds_and_with_dates() {
    assert!(passes(is("gt", "created_at", json!(1_699_999_999))));
    assert!(passes(is("gte", "created_at", json!("2023-11-14"))));
    assert!(!passes(is("lt", "created_at", json!("2023-11-14T22:13:20Z"))));
    assert!(passes(is("lte", "created_at", json!("2023-11-14T22:13:20Z"))));
}

#[test]
fn a_list_has_what_one_of_its_entries_is() {
    assert!(passes(is("eq", "tags", json!("boat"))));
    assert!(!passes(is("ne", "tags", json!("boat"))));
    assert!(passes(is("nin", "tags", json!(["bus", "bike"]))));
}

#[test]
fn what_is_missing_or_of_another_kind_only_differs() {
    for key in ["nothing", "author"] {
        assert!(passes(is("ne", key, json!(7))));
        assert!(passes(is("nin", key, json!([7]))));
        for kind in ["eq", "gt", "gte", "lt", "lte"] {
            assert!(!passes(is(kind, key, json!(7))), "{kind} {key}");
        }
        assert!(!passes(is("in", key, json!([7]))));
    }
}

#[test]
fn joined_filters_hold_together_or_one_by_one() {
    let (yes, no) = (is("eq", "draft", json!(false)), is("eq", "draft", json!(true)));

    assert!(passes(json!({"type": "and", "filters": []})));
    assert!(!passes(json!({"type": "or", "filters": []})));
    assert!(!passes(json!({"type": "and", "filters": [yes, no]})));
    assert!(passes(json!({"type": "or", "filters": [no, {"type": "and", "filters": [yes]}]})));
}

#[test]
fn what_is_no_filter_is_refused_with_the_reason() {
    let mut deep = is("eq", "a", json!(1));
    for _ in 0..9 {
        deep = json!({"type": "and", "filters": [deep]});
    }
    let many: Vec<Value> = (0..257).map(|number| is("eq", "a", json!(number))).collect();
    for (filter, reason) in [
        (json!("a"), "a filter is an object with a `type`"),
        (json!({"type": "like", "key": "a", "value": 1}), "the `type` of a filter is one of"),
        (json!({"type": "eq", "value": 1}), "`eq` needs a `key`"),
        (is("eq", "a", json!([1])), "`eq` of `a` needs a `value`"),
        (is("in", "a", json!(1)), "`in` of `a` needs a list"),
        (json!({"type": "and"}), "`and` needs a list of `filters`"),
        (deep, "more than 8 deep"),
        (json!({"type": "or", "filters": many}), "more than 256 comparisons"),
    ] {
        let refused = Filter::parse(&filter).unwrap_err().to_string();
        assert!(refused.contains(reason), "{refused}");
    }
    assert_eq!(Filter::parse(&Value::Null), Ok(None));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn every_test_and_its_opposite_part_all_values(value in -3_i64..3, wanted in -3_i64..3) {
        let file = file(json!({"n": value}));
        let holds = |kind: &str, wanted: Value| {
            let filter = Filter::parse(&is(kind, "n", wanted)).unwrap().expect("a filter");
            filter.passes(&file, &Map::new())
        };

        prop_assert_eq!(holds("eq", json!(wanted)), value == wanted);
        prop_assert_ne!(holds("eq", json!(wanted)), holds("ne", json!(wanted)));
        prop_assert_ne!(holds("gt", json!(wanted)), holds("lte", json!(wanted)));
        prop_assert_ne!(holds("lt", json!(wanted)), holds("gte", json!(wanted)));
        prop_assert_ne!(holds("in", json!([wanted])), holds("nin", json!([wanted])));
        prop_assert_eq!(holds("gt", json!(wanted)), value > wanted);
    }
}
