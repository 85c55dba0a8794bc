//! Settings: named texts.

use async_trait::async_trait;
use breezeway_core::{SettingsStore, StoreError};

use crate::{Store, db::Tx};

pub(crate) fn by_name(tx: &mut Tx<'_>, name: &str) -> Result<Option<String>, StoreError> {
    tx.query_opt("SELECT text FROM settings WHERE name = ?1", &[name.into()], |row| row.text("text"))
}

pub(crate) fn put(tx: &mut Tx<'_>, name: &str, text: &str) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO settings (name, text) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET text = excluded.text",
        &[name.into(), text.into()],
    )
    .map(drop)
}

#[async_trait]
impl SettingsStore for Store {
    async fn setting(&self, name: &str) -> Result<Option<String>, StoreError> {
        let name = name.to_owned();
        self.read("read a setting", move |tx| by_name(tx, &name)).await
    }

    async fn put_setting(&self, name: &str, text: &str) -> Result<(), StoreError> {
        let (name, text) = (name.to_owned(), text.to_owned());
        self.write("write a setting", move |tx| put(tx, &name, &text)).await
    }
}
