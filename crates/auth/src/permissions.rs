//! The permission tree: which features plain users may use.
//!
//! Two levels, section and name, each leaf a boolean. A group can only add to what everyone has:
//! a permission is given when the defaults or any of the account's groups give it.

use serde_json::{Map, Value};

/// Sections and names that the API knows, with what a plain user has from the start.
const KNOWN: &[(&str, &[(&str, bool)])] = &[
    (
        "workspace",
        &[
            ("models", false),
            ("knowledge", false),
            ("prompts", false),
            ("tools", false),
            ("skills", false),
            ("models_import", false),
            ("models_export", false),
            ("models_hidden", false),
            ("prompts_import", false),
            ("prompts_export", false),
            ("tools_import", false),
            ("tools_export", false),
            ("skills_import", false),
            ("skills_export", false),
        ],
    ),
    (
        "sharing",
        &[
            ("models", false),
            ("public_models", false),
            ("knowledge", false),
            ("public_knowledge", false),
            ("prompts", false),
            ("public_prompts", false),
            ("tools", false),
            ("public_tools", false),
            ("skills", false),
            ("public_skills", false),
            ("notes", false),
            ("public_notes", false),
            ("folders", false),
            ("open_chats", false),
            ("public_chats", false),
            ("public_calendars", false),
        ],
    ),
    ("access_grants", &[("allow_users", true), ("allow_groups", true)]),
    (
        "chat",
        &[
            ("controls", true),
            ("valves", true),
            ("system_prompt", true),
            ("params", true),
            ("file_upload", true),
            ("web_upload", true),
            ("delete", true),
            ("delete_message", true),
            ("continue_response", true),
            ("regenerate_response", true),
            ("rate_response", true),
            ("edit", true),
            ("share", true),
            ("export", true),
            ("import", true),
            ("stt", true),
            ("tts", true),
            ("call", true),
            ("multiple_models", true),
            ("temporary", true),
            ("temporary_enforced", false),
        ],
    ),
    (
        "features",
        &[
            ("api_keys", false),
            ("notes", true),
            ("folders", true),
            ("channels", true),
            ("encrypted_channels", false),
            ("direct_tool_servers", false),
            ("web_search", true),
            ("image_generation", true),
            ("code_interpreter", true),
            ("memories", true),
            ("automations", false),
            ("calendar", true),
            ("webhooks", false),
        ],
    ),
    ("settings", &[("interface", true)]),
];

/// How many names beyond the known ones one tree may bring along.
const MAX_UNKNOWN: usize = 200;

/// A tree of booleans: `workspace`, `sharing`, `access_grants`, `chat`, `features`, `settings`.
#[derive(Clone, Debug, PartialEq)]
pub struct Permissions(Value);

impl Permissions {
    /// The tree that `given` means: the defaults, with every boolean of `given` in their place.
    /// Names we do not know are kept, for clients newer than this server; what is no boolean two
    /// levels down is not.
    pub fn from_tree(given: &Value) -> Self {
        let mut permissions = Self::default();
        let mut unknown = 0;
        permissions.merge(given, |slot, value| match slot {
            Some(_) => Some(value),
            None => {
                unknown += 1;
                (unknown <= MAX_UNKNOWN).then_some(value)
            }
        });
        permissions
    }

    /// Add every permission that `group` gives; what it withholds stays as it is.
    pub fn widen(&mut self, group: &Value) {
        self.merge(group, |slot, value| slot.or(value.then_some(false)).map(|had| had || value));
    }

    /// Set one permission such as `features.api_keys`; unknown names are made.
    pub fn set(&mut self, path: &str, given: bool) {
        if let (Some((section, name)), Some(sections)) = (path.split_once('.'), self.0.as_object_mut()) {
            let section = sections.entry(section).or_insert_with(|| Map::new().into());
            if let Some(names) = section.as_object_mut() {
                names.insert(name.to_owned(), given.into());
            }
        }
    }

    /// The tree as JSON.
    pub fn into_tree(self) -> Value {
        self.0
    }

    fn merge(&mut self, other: &Value, mut choose: impl FnMut(Option<bool>, bool) -> Option<bool>) {
        let (Some(sections), Some(others)) = (self.0.as_object_mut(), other.as_object()) else { return };
        for (section, names) in others {
            let Some(names) = names.as_object() else { continue };
            for (name, value) in names {
                let Some(value) = value.as_bool() else { continue };
                let had = sections.get(section).and_then(|names| names.get(name)).and_then(Value::as_bool);
                if let Some(chosen) = choose(had, value) {
                    let slot = sections.entry(section.as_str()).or_insert_with(|| Map::new().into());
                    if let Some(slot) = slot.as_object_mut() {
                        slot.insert(name.clone(), chosen.into());
                    }
                }
            }
        }
    }
}

impl Default for Permissions {
    fn default() -> Self {
        let section = |names: &[(&str, bool)]| -> Value {
            names.iter().map(|&(name, given)| (name.to_owned(), given.into())).collect::<Map<_, _>>().into()
        };
        Self(
            KNOWN
                .iter()
                .map(|&(name, names)| (name.to_owned(), section(names)))
                .collect::<Map<_, _>>()
                .into(),
        )
    }
}

/// Whether a tree gives the permission at `path`, such as `workspace.knowledge`.
pub(crate) fn gives(tree: &Value, path: &str) -> bool {
    path.split_once('.').and_then(|(section, name)| tree.get(section)?.get(name)?.as_bool()).unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_plain_user_may_chat_and_not_make_collections() {
        let tree = Permissions::default().into_tree();

        assert!(gives(&tree, "chat.file_upload"));
        assert!(!gives(&tree, "workspace.knowledge"));
        assert!(!gives(&tree, "features.api_keys"));
        assert_eq!(
            tree.as_object().unwrap().keys().collect::<Vec<_>>(),
            ["workspace", "sharing", "access_grants", "chat", "features", "settings"]
        );
    }

    #[test]
    fn a_given_tree_replaces_the_defaults_it_names() {
        let tree = Permissions::from_tree(&json!({
            "workspace": {"knowledge": true, "models": "yes"},
            "chat": {"delete": false},
            "future": {"teleport": true},
            "odd": true,
        }))
        .into_tree();

        assert!(gives(&tree, "workspace.knowledge"));
        assert!(!gives(&tree, "workspace.models"));
        assert!(!gives(&tree, "chat.delete"));
        assert!(gives(&tree, "chat.export"));
        assert!(gives(&tree, "future.teleport"));
        assert_eq!(tree.get("odd"), None);
    }

    #[test]
    fn no_path_into_something_else_is_a_permission() {
        let tree = Permissions::default().into_tree();

        for path in ["", ".", "chat", "chat.", "chat.delete.x", "chat.nothing", "nothing.at_all"] {
            assert!(!gives(&tree, path), "{path}");
        }
    }

    fn tree() -> impl Strategy<Value = Value> {
        let names = proptest::collection::btree_map("[a-c]", any::<bool>(), 0..3);
        proptest::collection::btree_map("(chat|features|x)", names, 0..3).prop_map(|tree| json!(tree))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn a_group_only_adds(base in tree(), group in tree(), section in "(chat|features|x)", name in "[a-c]") {
            let path = format!("{section}.{name}");
            let base = Permissions::from_tree(&base);
            let mut widened = base.clone();

            widened.widen(&group);

            let expected = gives(&base.into_tree(), &path) || gives(&group, &path);
            prop_assert_eq!(gives(&widened.into_tree(), &path), expected);
        }
    }
}
