//! Lists as OpenAI's clients page through them: by the id of the last entry seen.

use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::IntoParams;

/// Entries of one page unless a request says otherwise, and at most.
const PAGE: usize = 20;
const MOST: usize = 100;

/// Which part of a list is wanted.
#[derive(Debug, Default, Deserialize, IntoParams)]
pub(super) struct PageQuery {
    /// 1 to 100.
    pub(super) limit: Option<usize>,
    /// `asc` or `desc` by time.
    pub(super) order: Option<String>,
    /// Begin behind this id.
    pub(super) after: Option<String>,
    /// End in front of this id.
    pub(super) before: Option<String>,
}

impl PageQuery {
    /// The page of entries that come newest first.
    pub(super) fn of(&self, mut entries: Vec<Value>) -> Value {
        self.page(&mut entries, PAGE, MOST)
    }

    /// The same with other limits.
    pub(super) fn page(&self, entries: &mut Vec<Value>, usual: usize, most: usize) -> Value {
        if self.order.as_deref() == Some("asc") {
            entries.reverse();
        }
        let place = |id: &Option<String>| {
            let id = id.as_deref().filter(|id| !id.is_empty())?;
            entries.iter().position(|entry| entry["id"] == id)
        };
        let begin = place(&self.after).map_or(0, |at| at + 1);
        let end = place(&self.before).unwrap_or(entries.len()).max(begin);
        let wanted = self.limit.unwrap_or(usual).clamp(1, most);
        // In front of an id, the nearest are wanted.
        let (begin, end) = match (&self.after, &self.before) {
            (None, Some(_)) => (end.saturating_sub(wanted).max(begin), end),
            _ => (begin, end.min(begin + wanted)),
        };
        let has_more = end < entries.len();
        let data: Vec<Value> = entries.drain(begin..end).collect();
        let id = |entry: Option<&Value>| entry.map(|entry| entry["id"].clone());
        json!({
            "object": "list",
            "first_id": id(data.first()),
            "last_id": id(data.last()),
            "has_more": has_more,
            "data": data,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(query: &PageQuery) -> (String, bool) {
        let page = query.of(["e", "d", "c", "b", "a"].map(|id| json!({"id": id})).to_vec());
        let ids = page["data"].as_array().unwrap().iter().map(|entry| entry["id"].as_str().unwrap());
        (ids.collect(), page["has_more"] == true)
    }

    #[test]
    fn pages_follow_each_other() {
        let some = |text: &str| Some(text.to_owned());

        assert_eq!(page(&PageQuery { limit: Some(2), ..PageQuery::default() }), ("ed".into(), true));
        assert_eq!(
            page(&PageQuery { limit: Some(2), after: some("d"), ..PageQuery::default() }),
            ("cb".into(), true)
        );
        assert_eq!(page(&PageQuery { after: some("b"), ..PageQuery::default() }), ("a".into(), false));
        assert_eq!(
            page(&PageQuery { limit: Some(2), order: some("asc"), ..PageQuery::default() }),
            ("ab".into(), true)
        );
        assert_eq!(
            page(&PageQuery { limit: Some(2), before: some("b"), ..PageQuery::default() }),
            ("dc".into(), true)
        );
        assert_eq!(page(&PageQuery { after: some("?"), ..PageQuery::default() }), ("edcba".into(), false));
    }
}
