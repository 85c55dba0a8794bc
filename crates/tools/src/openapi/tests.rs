use insta::assert_json_snapshot;
use serde_json::json;

use super::*;

fn read(document: Value) -> Vec<Value> {
    let listing = listing(document.to_string().as_bytes()).unwrap();
    let shown = |function: &ToolFunction| json!({"name": function.name, "description": function.description, "parameters": function.parameters});
    listing.functions().map(shown).collect()
}

#[test]
fn operations_become_functions() {
    let document = json!({
        "openapi": "3.1.0",
        "info": {"title": "Weather", "description": "What it is like outside."},
        "paths": {
            "/weather/{city}": {
                "parameters": [{"$ref": "#/components/parameters/City"}],
                "get": {
                    "operationId": "get_weather", "summary": "The weather.",
                    "parameters": [
                        {"name": "unit", "in": "query", "schema": {"enum": ["c", "f"]}},
                        {"name": "x-trace", "in": "header", "required": true, "schema": {}},
                    ],
                },
            },
            "/notes": {
                "post": {
                    "description": "Make a note.",
                    "requestBody": {"required": true, "content": {"application/json": {"schema": {
                        "$ref": "#/components/schemas/Note"
                    }}}},
                },
                "put": {
                    "operationId": "put_notes",
                    "requestBody": {"content": {"application/json": {"schema": {"type": "array"}}}},
                },
                "delete": {"operationId": "upload", "requestBody": {
                    "required": true, "content": {"multipart/form-data": {}},
                }},
                "options": {"operationId": "options"},
            },
            "not-a-path": {"get": {"operationId": "nothing"}},
        },
        "components": {
            "parameters": {"City": {"name": "city", "in": "path", "description": "Which.", "schema": {"type": "string"}}},
            "schemas": {"Note": {"type": "object", "properties": {"text": {"type": "string"}, "n": {}},
                "required": ["text"]}},
        },
    });

    assert_json_snapshot!(read(document));
}

#[test]
fn odd_documents_are_read_as_far_as_they_go() {
    let many: Map<String, Value> = (0..1000)
        .map(|number| (format!("/{number}"), json!({"get": {"operationId": format!("f{number}")}})))
        .collect();
    assert_eq!(read(json!({"paths": many})).len(), MOST_FUNCTIONS);
    assert_eq!(
        read(
            json!({"paths": {"/a": 7, "/b": {"get": []}, "/c": {"get": {"parameters": [1, {"in": "path"}]}}}})
        )
        .len(),
        1
    );
    let long = "x".repeat(100_000);
    assert_eq!(
        read(json!({"paths": {"/a": {"get": {"operationId": long, "description": long}}}}))[0]["name"]
            .as_str()
            .unwrap()
            .len(),
        LONGEST_NAME
    );
    let large = json!({"paths": {"/a": {"get": {"operationId": "a", "parameters": [
        {"name": "q", "in": "query", "schema": {"description": long}}]}}}});
    assert_eq!(read(large), [] as [Value; 0]);
}

#[test]
fn what_is_no_document_is_refused() {
    for text in ["<html>", "", "[]", "{}", "{\"paths\": []}", "7"] {
        assert!(listing(text.as_bytes()).is_err(), "{text}");
    }
}

proptest::proptest! {
    /// A document of somebody's who means no good.
    #[test]
    fn nothing_makes_reading_fall_over(text in "\\PC{0,200}", at in 0usize..6) {
        let value = serde_json::from_str(&text).unwrap_or_else(|_| Value::from(text.as_str()));
        let document = [
            json!({"paths": {"/a": value}}),
            json!({"paths": {"/a": {"get": value}}}),
            json!({"paths": {"/a": {"get": {"parameters": value}}}}),
            json!({"paths": {"/a": {"get": {"parameters": [value]}}}}),
            json!({"paths": {"/a": {"get": {"requestBody": {"content": {"application/json": value}}}}}}),
            json!({"info": value, "paths": {"/a": {"get": {"requestBody": {"$ref": text}}}}}),
        ];
        let _ = listing(document[at].to_string().as_bytes());
    }
}
