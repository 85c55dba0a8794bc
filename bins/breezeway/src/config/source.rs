//! Where settings come from: flags, the environment, a file.

use std::{
    cell::RefCell,
    collections::BTreeMap,
    fmt,
    path::{Path, PathBuf},
    str::FromStr,
};

use anyhow::{Context, Result, bail};

use crate::cli::Overrides;

/// Where a value came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    Flag,
    Environment,
    File,
    Default,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Flag => "flag",
            Self::Environment => "environment",
            Self::File => "file",
            Self::Default => "default",
        })
    }
}

/// One setting as it was read.
#[derive(Clone, Debug)]
pub(crate) struct Read {
    pub(crate) name: &'static str,
    pub(crate) shown: String,
    pub(crate) origin: Origin,
}

/// Named texts by precedence. Remembers what was asked for, so that it can be shown.
pub(crate) struct Source {
    flags: BTreeMap<String, String>,
    environment: BTreeMap<String, String>,
    file: BTreeMap<String, String>,
    asked: RefCell<Vec<Read>>,
}

impl Source {
    /// What flags, the process's environment and the settings file say.
    #[expect(clippy::disallowed_methods, reason = "this is where the environment is read")]
    pub(crate) fn gather(overrides: Overrides) -> Result<Self> {
        let environment = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect();
        let named = overrides.file.or_else(|| std::env::var_os("BREEZEWAY_CONFIG").map(PathBuf::from));
        let file = match &named {
            Some(path) => file(path)?,
            None if Path::new("breezeway.toml").exists() => file(Path::new("breezeway.toml"))?,
            None => BTreeMap::new(),
        };
        let flags = overrides.values.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        Ok(Self { flags, environment, file, asked: RefCell::default() })
    }

    /// Settings of a test.
    #[cfg(test)]
    pub(crate) fn of(environment: &[(&str, &str)]) -> Self {
        let environment =
            environment.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect();
        Self { flags: BTreeMap::new(), environment, file: BTreeMap::new(), asked: RefCell::default() }
    }

    fn find(&self, name: &str) -> Option<(&str, Origin)> {
        let layers = [
            (&self.flags, Origin::Flag),
            (&self.environment, Origin::Environment),
            (&self.file, Origin::File),
        ];
        layers.into_iter().find_map(|(layer, origin)| Some((layer.get(name)?.as_str(), origin)))
    }

    fn remember(&self, name: &'static str, shown: impl Into<String>, origin: Origin) {
        self.asked.borrow_mut().push(Read { name, shown: shown.into(), origin });
    }

    /// A text, if it is set to more than nothing.
    pub(crate) fn text(&self, name: &'static str) -> Option<String> {
        let (value, origin) = self.find(name).filter(|(value, _)| !value.is_empty())?;
        self.remember(name, without_passwords(value), origin);
        Some(value.to_owned())
    }

    /// The first of several names that is set, such as a newer and an older spelling.
    pub(crate) fn text_of(&self, names: &[&'static str]) -> Option<String> {
        names.iter().find_map(|name| self.text(name))
    }

    /// A text with a default.
    pub(crate) fn text_or(&self, name: &'static str, default: &str) -> String {
        self.text(name).unwrap_or_else(|| {
            self.remember(name, default, Origin::Default);
            default.to_owned()
        })
    }

    /// A text that is not shown.
    pub(crate) fn secret(&self, name: &'static str) -> Option<String> {
        let (value, origin) = self.find(name).filter(|(value, _)| !value.is_empty())?;
        self.remember(name, "(set)", origin);
        Some(value.to_owned())
    }

    /// A number, if it is set.
    pub(crate) fn number<T: FromStr + fmt::Display>(&self, name: &'static str) -> Result<Option<T>>
    where
        T::Err: std::error::Error + Send + Sync + 'static,
    {
        let Some(text) = self.text(name) else { return Ok(None) };
        let value =
            text.trim().parse().with_context(|| format!("`{name}` is `{text}`, which is no such number"))?;
        Ok(Some(value))
    }

    /// A number with a default.
    pub(crate) fn number_or<T: FromStr + fmt::Display>(&self, name: &'static str, default: T) -> Result<T>
    where
        T::Err: std::error::Error + Send + Sync + 'static,
    {
        Ok(self.number(name)?.unwrap_or_else(|| {
            self.remember(name, default.to_string(), Origin::Default);
            default
        }))
    }

    /// Whether something is on. Open WebUI reads `true` in any case as yes and all else as no; a word
    /// that is neither is more likely a mistake and is refused here.
    pub(crate) fn flag(&self, name: &'static str) -> Result<Option<bool>> {
        let Some(text) = self.text(name) else { return Ok(None) };
        Ok(Some(match text.trim().to_ascii_lowercase().as_str() {
            "true" | "1" | "yes" | "on" => true,
            "false" | "0" | "no" | "off" | "none" => false,
            _ => bail!("`{name}` is `{text}`; use `true` or `false`"),
        }))
    }

    /// Whether something is on, with a default.
    pub(crate) fn flag_or(&self, name: &'static str, default: bool) -> Result<bool> {
        Ok(self.flag(name)?.unwrap_or_else(|| {
            self.remember(name, default.to_string(), Origin::Default);
            default
        }))
    }

    /// A list, split at `separator`; places stay where they are, so empty entries are kept.
    pub(crate) fn list(&self, name: &'static str, separator: char) -> Option<Vec<String>> {
        self.text(name).map(|text| text.split(separator).map(|entry| entry.trim().to_owned()).collect())
    }

    /// All names that begin with `prefix`, with their values.
    pub(crate) fn starting_with(&self, prefix: &str) -> BTreeMap<String, String> {
        let mut found = BTreeMap::new();
        for layer in [&self.file, &self.environment, &self.flags] {
            let matching = layer.iter().filter(|(name, _)| name.starts_with(prefix));
            found.extend(matching.map(|(name, value)| (name.clone(), value.clone())));
        }
        found
    }

    /// What was asked for, in order.
    pub(crate) fn asked(&self) -> Vec<Read> {
        self.asked.borrow().clone()
    }
}

/// The settings file: the same names, at the top level. Lists are joined as the environment would
/// write them.
fn file(path: &Path) -> Result<BTreeMap<String, String>> {
    let text =
        std::fs::read_to_string(path).with_context(|| format!("`{}` cannot be read", path.display()))?;
    let table: toml::Table =
        toml::from_str(&text).with_context(|| format!("`{}` is no settings file", path.display()))?;
    table.into_iter().map(|(name, value)| Ok((name.to_ascii_uppercase(), plain(&name, value)?))).collect()
}

fn plain(name: &str, value: toml::Value) -> Result<String> {
    Ok(match value {
        toml::Value::String(text) => text,
        toml::Value::Integer(number) => number.to_string(),
        toml::Value::Float(number) => number.to_string(),
        toml::Value::Boolean(on) => on.to_string(),
        toml::Value::Array(entries) => {
            let entries = entries.into_iter().map(|entry| plain(name, entry)).collect::<Result<Vec<_>>>()?;
            entries.join(";")
        }
        toml::Value::Table(table) => serde_json::to_string(&table)?,
        toml::Value::Datetime(_) => bail!("`{name}` cannot be a date"),
    })
}

/// A text with what stands in front of the `@` of its addresses taken out: lists of addresses are shown,
/// and some people put passwords there.
fn without_passwords(text: &str) -> String {
    let mut pieces = text.split("://");
    let mut shown = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let authority = piece.split(['/', ';', ',', ' ']).next().unwrap_or_default();
        let from = authority.rfind('@').map_or(0, |at| at + 1);
        shown.push_str("://");
        shown.push_str(&piece[from..]);
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_wins_over_the_file_and_flags_over_both() {
        let mut source = Source::of(&[("PORT", "2"), ("HOST", "b")]);
        source.file = [("PORT".to_owned(), "3".to_owned()), ("NAME".to_owned(), "c".to_owned())].into();
        source.flags = [("PORT".to_owned(), "1".to_owned())].into();

        assert_eq!(source.number("PORT").unwrap(), Some(1));
        assert_eq!(source.text("HOST").as_deref(), Some("b"));
        assert_eq!(source.text("NAME").as_deref(), Some("c"));
        let origins: Vec<_> = source.asked().iter().map(|read| read.origin).collect();
        assert_eq!(origins, [Origin::Flag, Origin::Environment, Origin::File]);
    }

    #[test]
    fn tables_of_the_file_are_read_as_the_environment_would_write_them() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("breezeway.toml");
        let text = "OPENAI_API_BASE_URLS = [\"http://a\", \"http://b\"]\n\
            [OPENAI_API_CONFIGS.1]\npriority = 1\nmodel_ids = [\"m\"]\n\
            [BREEZEWAY_MODEL_ALIASES]\nfast = [\"m\", \"n\"]\n";
        std::fs::write(&path, text).unwrap();

        let read = file(&path).unwrap();

        assert_eq!(read["OPENAI_API_BASE_URLS"], "http://a;http://b");
        assert_eq!(read["OPENAI_API_CONFIGS"], r#"{"1":{"model_ids":["m"],"priority":1}}"#);
        assert_eq!(read["BREEZEWAY_MODEL_ALIASES"], r#"{"fast":["m","n"]}"#);
    }

    #[test]
    fn the_passwords_of_addresses_are_not_shown() {
        for (text, shown) in [
            ("http://ada:hunter2@a/v1;https://b@c:1@d", "http://a/v1;https://d"),
            ("http://plain:8080/a@b", "http://plain:8080/a@b"),
            ("no address", "no address"),
        ] {
            assert_eq!(without_passwords(text), shown);
        }
    }

    #[test]
    fn a_secret_is_not_shown() {
        let source = Source::of(&[("KEY", "hush")]);

        assert_eq!(source.secret("KEY").as_deref(), Some("hush"));
        assert_eq!(source.asked()[0].shown, "(set)");
    }

    #[test]
    fn a_word_that_is_neither_yes_nor_no_is_refused() {
        let source = Source::of(&[("A", "True"), ("B", "off"), ("C", "maybe"), ("D", "")]);

        assert_eq!(source.flag("A").unwrap(), Some(true));
        assert_eq!(source.flag("B").unwrap(), Some(false));
        assert!(source.flag("C").is_err());
        assert_eq!(source.flag("D").unwrap(), None);
    }
}
