//! Writing a turn into the tree of messages that a chat's JSON holds.
//!
//! `history.messages` has the messages by their ids, each with the id before it (`parentId`) and those
//! behind it (`childrenIds`); `history.currentId` is where the conversation stands. Clients write all of
//! that too, and not all of them the same, so nothing of it is taken for granted.

use serde_json::{Map, Value, json};

use super::{Reply, Turn, turn::Said};

impl Turn {
    /// Write the question, if it is not there, and the answer into a chat's JSON. Doing it again changes
    /// nothing more.
    pub fn write_into(&self, body: &mut Map<String, Value>) {
        let history = object_at(body, "history");
        let current = ["currentId", "current_id"]
            .into_iter()
            .find_map(|name| history.get(name)?.as_str())
            .map(str::to_owned);
        let messages = object_at(history, "messages");
        let (parent, before) = self.places(messages, current.as_deref());
        let mut written = Vec::new();
        if let (Some(parent), Some(question)) = (&parent, &self.question)
            && !messages.contains_key(parent)
        {
            let message = self.question_message(question, parent, before.as_deref());
            messages.insert(parent.clone(), message.into());
            adopt(messages, before.as_deref(), parent);
            written.push(parent.clone());
        }
        let entry = messages.entry(self.answer_id.as_str()).or_insert_with(|| json!({}));
        if !entry.is_object() {
            *entry = json!({});
        }
        let stays = matches!(self.reply, Reply::Begun) && entry.get("role").is_some();
        if let Value::Object(message) = entry
            && !stays
        {
            self.fill_answer(message, parent.as_deref(), self.reply.said());
        }
        adopt(messages, parent.as_deref(), &self.answer_id);
        written.push(self.answer_id.clone());

        let copies: Vec<Value> = written.iter().filter_map(|id| messages.get(id).cloned()).collect();
        for name in ["currentId", "current_id"] {
            // The second spelling is that of documented examples; it is kept where there is one.
            if name == "currentId" || history.contains_key(name) {
                history.insert(name.into(), self.answer_id.as_str().into());
            }
        }
        if let Some(Value::Array(list)) = body.get_mut("messages") {
            copies.into_iter().for_each(|copy| put(list, copy));
        }
    }

    /// The message that the answer answers, and the one before that if it is not in the tree yet.
    fn places(
        &self,
        messages: &Map<String, Value>,
        current: Option<&str>,
    ) -> (Option<String>, Option<String>) {
        let known = |id: &str| messages.contains_key(id) && id != self.answer_id;
        let role = |id: &str| messages.get(id).and_then(|message| message["role"].as_str());
        let text = |value: &Value, name: &str| value.get(name).and_then(Value::as_str).map(str::to_owned);
        // A client that has written the answer's place into the tree has said where that is.
        if let Some(parent) = messages.get(&self.answer_id).and_then(|answer| text(answer, "parentId"))
            && known(&parent)
        {
            return (Some(parent), None);
        }
        let here = current.filter(|id| known(id)).map(str::to_owned);
        let Some(question) = &self.question else {
            return (self.parent.clone().filter(|id| known(id)).or(here), None);
        };
        let sent_before =
            question.get("parentId").and_then(Value::as_str).filter(|id| known(id)).map(str::to_owned);
        if self.is_named {
            let parent = self.parent.clone().filter(|id| known(id) && *id != self.question_id);
            return (Some(self.question_id.clone()), sent_before.or(parent).or(here));
        }
        match self.parent.as_deref() {
            Some(parent) if known(parent) && role(parent) != Some("user") => {
                (Some(self.question_id.clone()), Some(parent.to_owned()))
            }
            // The question itself, whether it is there or is to be under this id.
            Some(parent) if parent != self.answer_id => (Some(parent.to_owned()), sent_before.or(here)),
            _ => {
                let is_asked = |id: &String| {
                    role(id) == Some("user")
                        && messages[id.as_str()].get("content") == question.get("content")
                };
                match here {
                    Some(here) if is_asked(&here) => (Some(here), None),
                    here => (Some(self.question_id.clone()), here),
                }
            }
        }
    }

    fn question_message(
        &self,
        question: &Map<String, Value>,
        id: &str,
        before: Option<&str>,
    ) -> Map<String, Value> {
        let mut message = question.clone();
        message.insert("id".into(), id.into());
        message.insert("parentId".into(), before.into());
        message.insert("childrenIds".into(), json!([]));
        message.insert("role".into(), "user".into());
        message.entry("timestamp").or_insert_with(|| self.at.seconds().into());
        message.entry("models").or_insert_with(|| json!([self.model]));
        message
    }

    fn fill_answer(&self, message: &mut Map<String, Value>, parent: Option<&str>, said: Said) {
        message.insert("id".into(), self.answer_id.as_str().into());
        message.insert("parentId".into(), parent.into());
        message.entry("childrenIds").or_insert_with(|| json!([]));
        message.insert("role".into(), "assistant".into());
        message.insert("content".into(), said.content.into());
        message.insert("model".into(), self.model.as_str().into());
        message.entry("timestamp").or_insert_with(|| self.at.seconds().into());
        message.insert("done".into(), said.done.into());
        let error = said.error.map(|error| json!({"content": error}));
        for (name, value) in [("usage", said.usage), ("sources", said.sources), ("error", error)] {
            match value {
                Some(value) => drop(message.insert(name.into(), value)),
                // An answer given anew does not keep what belongs to the old one.
                None => drop(message.shift_remove(name)),
            }
        }
    }
}

/// The object under a name; what else is there gives way to it.
fn object_at<'a>(map: &'a mut Map<String, Value>, name: &str) -> &'a mut Map<String, Value> {
    let entry = map.entry(name).or_insert_with(|| json!({}));
    if !entry.is_object() {
        *entry = json!({});
    }
    entry.as_object_mut().expect("it was made one")
}

/// Note a child at its parent, once.
fn adopt(messages: &mut Map<String, Value>, parent: Option<&str>, child: &str) {
    let Some(parent) = parent.and_then(|id| messages.get_mut(id)).and_then(Value::as_object_mut) else {
        return;
    };
    let children = parent.entry("childrenIds").or_insert_with(|| json!([]));
    if !children.is_array() {
        *children = json!([]);
    }
    if let Value::Array(children) = children
        && !children.iter().any(|known| known == child)
    {
        children.push(child.into());
    }
}

/// Put a message into the list that some clients keep beside the tree.
fn put(list: &mut Vec<Value>, message: Value) {
    match list.iter_mut().find(|known| known["id"] == message["id"]) {
        Some(known) => *known = message,
        None => list.push(message),
    }
}

#[cfg(test)]
mod tests;
