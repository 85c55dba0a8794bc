//! `file_search` in the Responses API: the search as an item of the output, and citations in the text.
//!
//! The search itself is that of a chat's `files`; here its sources are told in this API's words. In a
//! stream the item comes in front of all others, which therefore count from one.

use breezeway_wire::Frame;
use serde_json::{Value, json};
use uuid::Uuid;

/// Whether a client asks for the passages themselves.
const RESULTS: &str = "file_search_call.results";

/// A search of files for one response.
pub(super) struct FileSearch {
    id: String,
    query: String,
    shows_results: bool,
    /// The chat's `sources`.
    sources: Value,
    /// Events that were put into the stream.
    added: u64,
    begun: bool,
}

/// A file that a mark stands for.
struct Cited<'a> {
    id: &'a str,
    name: &'a str,
}

impl FileSearch {
    /// The search for a request whose question is `query`.
    pub(super) fn new(include: &Value, query: String) -> Self {
        let mut included = include.as_array().into_iter().flatten();
        Self {
            id: format!("fs_{}", Uuid::new_v4().simple()),
            query,
            shows_results: included.any(|wanted| wanted == RESULTS),
            sources: json!([]),
            added: 0,
            begun: false,
        }
    }

    /// Whether nothing was found so far.
    pub(super) fn is_open(&self) -> bool {
        self.sources.as_array().is_none_or(Vec::is_empty)
    }

    /// Take note of what was found.
    pub(super) fn found(&mut self, sources: &Value) {
        if sources.is_array() {
            self.sources = sources.clone();
        }
    }

    /// Put the search into a whole response.
    pub(super) fn amend(&self, response: &mut Value) {
        let Some(output) = response["output"].as_array_mut() else { return };
        for item in output.iter_mut() {
            self.cite(item);
        }
        output.insert(0, self.item("completed"));
        if let Some(fields) = response.as_object_mut() {
            fields.shift_remove("sources");
        }
    }

    /// Put the search into a stream of events.
    pub(super) fn frames(&mut self, frames: Vec<Frame>) -> Vec<Frame> {
        let mut amended = Vec::with_capacity(frames.len() + 5);
        for frame in frames {
            let Ok(mut event) = serde_json::from_slice::<Value>(&frame.data) else {
                amended.push(frame);
                continue;
            };
            let kind = event["type"].as_str().unwrap_or_default().to_owned();
            if !self.begun && !matches!(kind.as_str(), "response.created" | "response.in_progress") {
                self.begin(&event, &mut amended);
            }
            if let Some(index) = event["output_index"].as_u64() {
                event["output_index"] = (index + 1).into();
            }
            if let Some(number) = event["sequence_number"].as_u64() {
                event["sequence_number"] = (number + self.added).into();
            }
            match kind.as_str() {
                "response.output_item.done" => self.cite(&mut event["item"]),
                "response.content_part.done" => self.cite_part(&mut event["part"]),
                _ if event["response"]["output"].is_array() && self.begun => {
                    self.amend(&mut event["response"])
                }
                _ => {}
            }
            amended.push(named(&kind, &event));
        }
        amended
    }

    /// The events of the search itself, in front of `next`.
    fn begin(&mut self, next: &Value, amended: &mut Vec<Frame>) {
        self.begun = true;
        let first = next["sequence_number"].as_u64().unwrap_or_default();
        let step = |kind: &str| json!({"type": kind, "output_index": 0, "item_id": self.id});
        let events = [
            json!({"type": "response.output_item.added", "output_index": 0, "item": self.item("in_progress")}),
            step("response.file_search_call.in_progress"),
            step("response.file_search_call.searching"),
            step("response.file_search_call.completed"),
            json!({"type": "response.output_item.done", "output_index": 0, "item": self.item("completed")}),
        ];
        for (number, mut event) in (first..).zip(events) {
            event["sequence_number"] = number.into();
            self.added += 1;
            amended.push(named(event["type"].as_str().unwrap_or_default(), &event));
        }
    }

    fn item(&self, status: &str) -> Value {
        let results = match self.shows_results && status == "completed" {
            true => self.results(),
            false => Value::Null,
        };
        json!({
            "id": self.id,
            "type": "file_search_call",
            "status": status,
            "queries": [self.query],
            "results": results,
        })
    }

    fn passages(&self) -> impl Iterator<Item = (&Value, &Value, &Value)> {
        self.sources.as_array().into_iter().flatten().flat_map(|source| {
            let texts = source["document"].as_array().into_iter().flatten();
            let metadata = source["metadata"].as_array().into_iter().flatten();
            texts
                .zip(metadata)
                .enumerate()
                .map(|(at, (text, metadata))| (text, metadata, &source["distances"][at]))
        })
    }

    fn results(&self) -> Value {
        let result = |(text, metadata, score): (&Value, &Value, &Value)| {
            json!({
                "file_id": metadata["file_id"],
                "filename": metadata["name"],
                "score": score,
                "text": text,
                "attributes": {},
            })
        };
        self.passages().map(result).collect()
    }

    /// Files by the ids that the prompt gave them: one for each name, in the order of the sources.
    fn cited(&self) -> Vec<Cited<'_>> {
        let mut names: Vec<&str> = Vec::new();
        let mut cited = Vec::new();
        for (_, metadata, _) in self.passages() {
            let name = metadata["source"].as_str().unwrap_or_default();
            if !names.contains(&name) {
                names.push(name);
                let id = metadata["file_id"].as_str().unwrap_or_default();
                cited.push(Cited { id, name: metadata["name"].as_str().unwrap_or(name) });
            }
        }
        cited
    }

    fn cite(&self, item: &mut Value) {
        for part in item["content"].as_array_mut().into_iter().flatten() {
            self.cite_part(part);
        }
    }

    fn cite_part(&self, part: &mut Value) {
        if part["type"] != "output_text" {
            return;
        }
        let cited = self.cited();
        let text = part["text"].as_str().unwrap_or_default();
        let annotations: Vec<Value> = marks(text)
            .into_iter()
            .filter_map(|(index, id)| {
                let file = cited.get(id.checked_sub(1)?)?;
                let (id, name) = (file.id, file.name);
                Some(json!({"type": "file_citation", "index": index, "file_id": id, "filename": name}))
            })
            .collect();
        part["annotations"] = annotations.into();
    }
}

/// The marks of a text, `[2]`: the character each stands at, and its id.
fn marks(text: &str) -> Vec<(usize, usize)> {
    let mut marks = Vec::new();
    for (at, _) in text.match_indices('[') {
        let inside = text[at + 1..].split(']').next().filter(|inside| inside.len() <= 24).unwrap_or_default();
        let is_closed = text[at + 1 + inside.len()..].starts_with(']');
        let ids: Option<Vec<usize>> = inside.split(',').map(|id| id.trim().parse().ok()).collect();
        if let Some(ids) = ids.filter(|_| is_closed) {
            let index = text[..at].chars().count();
            marks.extend(ids.into_iter().map(|id| (index, id)));
        }
    }
    marks
}

/// An event under its own name, which is known only at run time.
fn named(kind: &str, event: &Value) -> Frame {
    let plain = Frame::json(event);
    let head = format!("event: {kind}\n");
    Frame {
        raw: [head.as_bytes(), &plain.raw].concat().into(),
        event: Some(kind.to_owned()),
        data: plain.data,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_found_where_they_stand() {
        assert_eq!(marks("Né [1], so [2, 3]. [x] [4"), [(3, 1), (11, 2), (11, 3)]);
    }

    #[test]
    fn events_behind_the_search_count_on() {
        let mut search = FileSearch { id: "fs".into(), ..FileSearch::new(&Value::Null, "q".into()) };
        let event = |kind: &str, number: u64| {
            let mut event = json!({"type": kind, "sequence_number": number});
            if kind.contains("item") {
                event["output_index"] = 0.into();
            }
            Frame::json(&event)
        };

        let frames = search.frames(vec![
            event("response.created", 0),
            event("response.output_item.added", 1),
            event("response.completed", 2),
        ]);

        let seen: Vec<(String, u64)> = frames
            .iter()
            .map(|frame| serde_json::from_slice::<Value>(&frame.data).unwrap())
            .map(|event| {
                (event["type"].as_str().unwrap().to_owned(), event["sequence_number"].as_u64().unwrap())
            })
            .collect();
        let numbers: Vec<u64> = seen.iter().map(|(_, number)| *number).collect();
        assert_eq!(numbers, (0..8).collect::<Vec<_>>());
        assert_eq!(seen[1].0, "response.output_item.added");
        assert_eq!(seen[3].0, "response.file_search_call.searching");
    }
}
