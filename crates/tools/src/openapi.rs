//! OpenAPI documents: each operation becomes a function.

mod request;

use std::sync::Arc;

use breezeway_chat::ToolFunction;
use http::Method;
use serde_json::{Map, Value};

use crate::{
    Error, Result,
    listing::{LONGEST_DESCRIPTION, LONGEST_NAME, LONGEST_SCHEMA, Listing, MOST_FUNCTIONS, Offer, cut},
    schema::{standing_alone, target},
};

/// How an operation is called.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Operation {
    method: Method,
    /// The path with its placeholders.
    path: String,
    parameters: Vec<Parameter>,
    body: Body,
}

#[derive(Clone, Debug, PartialEq)]
struct Parameter {
    name: String,
    place: Place,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Path,
    Query,
}

/// What is sent as the body.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Body {
    /// Nothing.
    None,
    /// An object of these arguments, and of all that are no parameters.
    Object(Vec<String>),
    /// One argument, as it is.
    Argument(String),
}

const METHODS: [(&str, Method); 5] = [
    ("get", Method::GET),
    ("post", Method::POST),
    ("put", Method::PUT),
    ("patch", Method::PATCH),
    ("delete", Method::DELETE),
];

/// The argument for a body that is no object.
const BODY: &str = "body";

/// Read a document.
pub(crate) fn listing(text: &[u8]) -> Result<Listing> {
    let document: Value = serde_json::from_slice(text).map_err(|_| bad("it is no JSON"))?;
    let Some(paths) = document.get("paths").and_then(Value::as_object) else {
        return Err(bad("it is no OpenAPI document: it has no `paths`"));
    };
    let said = |name: &str| document["info"][name].as_str().unwrap_or_default();
    let mut offers = Vec::new();
    for (path, item) in paths.iter().filter(|(path, _)| path.starts_with('/')) {
        let item = target(item, &document);
        for (word, method) in METHODS {
            if offers.len() < MOST_FUNCTIONS
                && let Some(offer) = offer(path, word, method, item, &document)
            {
                offers.push(offer);
            }
        }
    }
    Ok(Listing {
        title: cut(said("title"), LONGEST_NAME),
        description: cut(said("description"), LONGEST_DESCRIPTION),
        offers,
    })
}

fn bad(why: &str) -> Error {
    Error::BadDescription(why.to_owned())
}

/// An operation as a function; `None` if there is none, or it cannot be called with JSON.
fn offer(path: &str, word: &str, method: Method, item: &Value, document: &Value) -> Option<Offer> {
    let operation = item.get(word)?.as_object()?;
    let text = |name: &str| operation.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    let name = text("operationId").map_or_else(|| format!("{word}{path}"), str::to_owned);
    let description = text("description").or(text("summary")).unwrap_or_default();

    let mut arguments = Arguments::default();
    let mut parameters: Vec<Parameter> = Vec::new();
    let own = operation.get("parameters").and_then(Value::as_array).into_iter().flatten();
    let shared = item["parameters"].as_array().into_iter().flatten();
    for stated in own.chain(shared) {
        let stated = target(stated, document);
        let Some((name, place)) = placed(stated) else { continue };
        if parameters.iter().any(|known| known.name == name) {
            continue;
        }
        let schema = standing_alone(&stated["schema"], document)?;
        let required = place == Place::Path || stated["required"] == true;
        arguments.add(&name, described(schema, stated["description"].as_str()), required);
        parameters.push(Parameter { name, place });
    }
    let body = body(operation, document, &mut arguments)?;
    let parameters_schema = arguments.into_schema();
    let is_short = Value::from(parameters_schema.clone()).to_string().len() <= LONGEST_SCHEMA;
    is_short.then(|| Offer {
        function: ToolFunction {
            name: cut(&name, LONGEST_NAME),
            description: cut(description, LONGEST_DESCRIPTION),
            parameters: parameters_schema,
        },
        operation: Some(Arc::new(Operation { method, path: path.to_owned(), parameters, body })),
    })
}

/// A parameter that a model may fill in. Headers and cookies are not among them: they are how servers
/// are told who asks.
fn placed(parameter: &Value) -> Option<(String, Place)> {
    let place = match parameter["in"].as_str()? {
        "path" => Place::Path,
        "query" => Place::Query,
        _ => return None,
    };
    Some((parameter["name"].as_str()?.to_owned(), place))
}

/// `None` if the operation wants a body that is no JSON.
fn body(operation: &Map<String, Value>, document: &Value, arguments: &mut Arguments) -> Option<Body> {
    let Some(stated) = operation.get("requestBody") else { return Some(Body::None) };
    let stated = target(stated, document);
    let required = stated["required"] == true;
    let contents = stated["content"].as_object().filter(|contents| !contents.is_empty());
    let Some(contents) = contents else { return Some(Body::None) };
    let is_json = |kind: &str| kind.starts_with("application/json") || kind.contains("+json");
    let Some((_, content)) = contents.iter().find(|(kind, _)| is_json(kind)) else {
        return (!required).then_some(Body::None);
    };
    let schema = standing_alone(&content["schema"], document)?;
    let Some(properties) = schema["properties"].as_object() else {
        arguments.add(BODY, described(schema, stated["description"].as_str()), required);
        return Some(Body::Argument(BODY.into()));
    };
    let demanded = |name: &str| {
        required && schema["required"].as_array().is_some_and(|list| list.iter().any(|it| it == name))
    };
    for (name, property) in properties {
        arguments.add(name, property.clone(), demanded(name));
    }
    Some(Body::Object(properties.keys().cloned().collect()))
}

/// A schema that says what it is for, if that is said anywhere.
fn described(schema: Value, description: Option<&str>) -> Value {
    let mut schema = match schema {
        Value::Object(schema) => schema,
        _ => Map::new(),
    };
    if let Some(description) = description {
        schema.entry("description").or_insert_with(|| description.into());
    }
    schema.into()
}

#[derive(Default)]
struct Arguments {
    properties: Map<String, Value>,
    required: Vec<Value>,
}

impl Arguments {
    fn add(&mut self, name: &str, schema: Value, required: bool) {
        self.properties.entry(name).or_insert(schema);
        if required && !self.required.iter().any(|known| known == name) {
            self.required.push(name.into());
        }
    }

    fn into_schema(self) -> Map<String, Value> {
        Map::from_iter([
            ("type".into(), "object".into()),
            ("properties".into(), self.properties.into()),
            ("required".into(), self.required.into()),
        ])
    }
}

#[cfg(test)]
mod tests;
